package e2e

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/verify"
)

// unconditional is a store with a fault: a check reads, and writes later what it has made of it, without the condition
// that nothing has changed meanwhile.
type unconditional struct{ verify.Store }

var errRead = errors.New("read, and not written yet")

func (u unconditional) Do(ctx context.Context, n verify.Needs, work func(verify.Tx) error) error {
	var puts []func(verify.Tx)
	err := u.Store.Do(ctx, n, func(tx verify.Tx) error {
		puts = nil
		if err := work(later{tx, &puts}); err != nil {
			return err
		}
		return errRead
	})
	if !errors.Is(err, errRead) {
		return err
	}
	time.Sleep(time.Millisecond)
	return u.Store.Do(ctx, n, func(tx verify.Tx) error {
		for _, p := range puts {
			p(tx)
		}
		return nil
	})
}

// later keeps what is put.
type later struct {
	verify.Tx
	puts *[]func(verify.Tx)
}

func (l later) put(f func(verify.Tx)) { *l.puts = append(*l.puts, f) }

func (l later) PutNumber(n *verify.Number)       { l.put(func(tx verify.Tx) { tx.PutNumber(n) }) }
func (l later) PutLimit(key [16]byte, tat int64) { l.put(func(tx verify.Tx) { tx.PutLimit(key, tat) }) }
func (l later) PutJob(j queue.Job)               { l.put(func(tx verify.Tx) { tx.PutJob(j) }) }
func (l later) DropJob(j id.ID)                  { l.put(func(tx verify.Tx) { tx.DropJob(j) }) }
func (l later) PutVerification(v *verify.Verification, isNew bool) {
	l.put(func(tx verify.Tx) { tx.PutVerification(v, isNew) })
}

// core is the core in this process, as a target.
type core struct {
	*verify.Service
	caller application.Caller
	mu     sync.Mutex
	codes  map[string]string
}

func newCore(t *testing.T, s verify.Store) *core {
	t.Helper()
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: []byte("0123456789abcdef0123456789abcdef")}})
	if err != nil {
		t.Fatal(err)
	}
	c := &core{codes: map[string]string{}}
	app := application.Application{
		ID:     id.ID{1},
		Name:   "shop",
		Brand:  "Shop",
		Policy: application.Policy{FreshCodes: true, MaxSends: modelSends},
	}
	c.caller = application.Caller{
		App: &app,
		Key: &application.Key{App: app.ID, Mode: application.Live, Scopes: []application.Scope{application.Verify}},
	}
	c.Service = verify.New(verify.Options{
		Store:        s,
		Router:       c,
		Dispatch:     c,
		Ring:         ring,
		IDs:          id.NewSource(id.ID{}),
		Now:          time.Now,
		AllowFiction: true,
		Metrics:      c,
	})
	return c
}

func (*core) Started(*application.Application, channel.Kind, string) {}
func (*core) Checked(*application.Application, verify.Result)        {}
func (*core) Limited(string)                                         {}

// Plan implements verify.Router.
func (*core) Plan(phone.Number, channel.Kind, bool, string) (route, reason string, ok bool) {
	return "any", "priority", true
}

// Admit implements verify.Dispatcher.
func (*core) Admit() bool { return true }

// Reserve implements verify.Dispatcher.
func (*core) Reserve() bool { return true }

// Release implements verify.Dispatcher.
func (*core) Release() {}

// Dispatch brings the message at once.
func (c *core) Dispatch(j queue.Job, _ *verify.Made) {
	m, _, _, err := verify.Composer{Service: c.Service, Apps: anyApp{}}.Compose(context.Background(), j.Ref,
		channel.Delivery{Channel: channel.SMS})
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.codes[m.To.E164()] = m.Code.Reveal()
}

func (c *core) code(to string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.codes[to]
}

func (c *core) ask(_ *rand.Rand, in request) (out got) {
	ctx := context.Background()
	v, _ := id.Parse(id.Verification, in.id)
	var err error
	var kept *verify.Verification
	out.result = "ok"
	switch in.what {
	case "start":
		if kept, err = c.Start(ctx, c.caller, verify.StartRequest{To: in.to, MaxAttempts: modelAttempts}); err == nil {
			out.id = kept.ID.Text(id.Verification)
		}
	case "check":
		var a verify.CheckAnswer
		a, err = c.Check(ctx, c.caller, verify.CheckRequest{ID: v, Code: in.code})
		out.result = string(a.Result)
	case "resend":
		_, err = c.Resend(ctx, c.caller, verify.ResendRequest{ID: v})
	case "cancel":
		_, err = c.Cancel(ctx, c.caller, v, nil)
	case "get":
		if kept, err = c.Get(ctx, c.caller, v); err == nil {
			out.result, out.left = string(kept.Status), kept.AttemptsLeft()
		}
	}
	if e, ok := errors.AsType[*verify.Error](err); ok {
		out.result = string(e.Code)
	}
	return out
}

// TestTheCheckerCatchesAPlantedFault: histories of a core whose checks write without their condition are found illegal,
// and those of the same core without the fault are not.
func TestTheCheckerCatchesAPlantedFault(t *testing.T) {
	t.Parallel()
	for _, planted := range []bool{false, true} {
		e, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "dialproof.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		db := store.New(e, nil)
		defer db.Close()
		var s verify.Store = db
		if planted {
			s = unconditional{db}
		}
		c := newCore(t, s)
		r := rand.New(rand.NewPCG(1, 2))
		illegal := 0
		const n = 5
		for i := range n {
			numbers := []string{drama(4 * i), drama(4*i + 1), drama(4*i + 2), drama(4*i + 3)}
			h := record(c, r, numbers, 3, 20, 2*time.Millisecond)
			h.decode(t, func(v id.ID) (*verify.Verification, error) { return db.Find(t.Context(), v) })
			if porcupine.CheckOperations(model(), h.ops) {
				continue
			}
			illegal++
		}
		t.Logf("planted %t: %d of %d histories are illegal", planted, illegal, n)
		if planted != (illegal > 0) {
			t.Errorf("planted %t: %d of %d histories are illegal", planted, illegal, n)
		}
	}
}
