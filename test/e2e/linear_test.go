package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/verify"
)

// replaceHost returns a connection string with another host.
func replaceHost(dsn, host string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err)
	}
	u.Host = host
	return u.String()
}

// request is one request of a history.
type request struct {
	what string // start, check, resend, cancel, get
	to   string
	id   string
	code string
	// Set when the history is over: which verification of its number, and the generation that the code is of; -1: of none.
	n, generation int
}

// got is what came of it.
type got struct {
	unsent  bool // it never reached a node
	unknown bool // it may have happened
	id      string
	result  string // approved, incorrect, …; ok; or the code of a refusal
	left    int    // attempts, as a get shows them
	n       int
}

// world of the model: the verifications of one number, in the order in which they became known.
type row struct {
	status     byte // 0: not there; else the first letter: p, a, f, c
	attempts   byte
	generation byte
	sends      byte
}

// most bounds the verifications of one number in a history.
const most = 40

type numberState struct {
	rows   [most]row
	latest int8 // -1: none that is known
}

const (
	modelAttempts = 3
	modelSends    = 5
)

// model says what the API promises, as one step after the other. What is not known to have happened may or may not
// have.
func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{numberState{latest: -1}} },
		Step: func(state, input, output any) []any {
			s, in, out := state.(numberState), input.(request), output.(got)
			next, ok := s, false
			switch in.what {
			case "start":
				next, ok = started(s, out)
			case "check":
				next, ok = checked(s, in, out)
			case "resend":
				next, ok = resent(s, in, out)
			case "cancel":
				next, ok = canceled(s, in, out)
			case "get":
				ok = shown(s, in, out)
			}
			switch {
			case out.unknown && ok && next != s:
				return []any{s, next}
			case out.unknown:
				return []any{s}
			case ok:
				return []any{next}
			}
			return nil
		},
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			by := map[string][]porcupine.Operation{}
			for _, o := range history {
				to := o.Input.(request).to
				by[to] = append(by[to], o)
			}
			var out [][]porcupine.Operation
			for _, part := range by {
				out = append(out, part)
			}
			return out
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v → %+v", input, output) },
	}
	return m.ToModel()
}

func started(s numberState, out got) (numberState, bool) {
	if s.latest >= 0 && s.rows[s.latest].status == 'p' {
		s.rows[s.latest].status = 'c'
	}
	if s.latest = -1; out.unknown {
		return s, true
	}
	if s.rows[out.n].status != 0 {
		return s, false
	}
	s.rows[out.n], s.latest = row{status: 'p', sends: 1}, int8(out.n)
	return s, true
}

func checked(s numberState, in request, out got) (numberState, bool) {
	r := &s.rows[in.n]
	over := map[byte]string{'a': "used", 'f': "exhausted", 'c': "canceled"}[r.status]
	switch {
	case r.status == 0:
		return s, false
	case over != "":
		return s, out.unknown || out.result == over
	}
	r.attempts++
	want := "incorrect"
	switch {
	case in.generation == int(r.generation):
		r.status, want = 'a', "approved"
	case r.attempts == modelAttempts:
		r.status, want = 'f', "exhausted"
	}
	return s, out.unknown || out.result == want
}

func resent(s numberState, in request, out got) (numberState, bool) {
	r := &s.rows[in.n]
	switch {
	case r.status == 0:
		return s, false
	case r.status != 'p':
		return s, out.unknown || out.result == "not_pending"
	case r.sends == modelSends:
		return s, out.unknown || out.result == "resends_used_up"
	}
	r.sends++
	r.generation++
	return s, out.unknown || out.result == "ok"
}

func canceled(s numberState, in request, out got) (numberState, bool) {
	r := &s.rows[in.n]
	switch r.status {
	case 0:
		return s, false
	case 'a', 'f':
		return s, out.unknown || out.result == "not_pending"
	}
	r.status = 'c'
	return s, out.unknown || out.result == "ok"
}

func shown(s numberState, in request, out got) bool {
	r := s.rows[in.n]
	name := map[byte]string{'p': "pending", 'a': "approved", 'f': "failed", 'c': "canceled"}[r.status]
	return out.unknown || (name == out.result && out.left == modelAttempts-int(r.attempts))
}

// target is who answers the requests of a history.
type target interface {
	ask(r *rand.Rand, in request) got
	// code returns the newest code that a number has got.
	code(to string) string
}

// overHTTP asks the nodes of a fleet.
type overHTTP struct{ c *fleet }

func (h overHTTP) code(to string) string { return h.c.sink.codeFor(to) }

func (h overHTTP) ask(r *rand.Rand, in request) got {
	path, body, method := "/v1/verifications/"+in.id, map[string]any{}, http.MethodPost
	switch in.what {
	case "start":
		path, body = "/v1/verifications", map[string]any{"to": in.to, "max_attempts": modelAttempts, "expires_in": 600}
	case "check":
		path, body = path+"/check", map[string]any{"code": in.code}
	case "get":
		method, body = http.MethodGet, nil
	default:
		path += "/" + in.what
	}
	var a answer
	var err error
	if body == nil {
		a, err = h.c.any(r).try(method, path, nil)
	} else {
		a, err = h.c.any(r).try(method, path, body)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return got{unsent: true}
	case err != nil || a.status >= 500:
		return got{unknown: true}
	}
	m := map[string]any{}
	for _, l := range lines(string(a.body)) {
		m = l
	}
	text := func(k string) string { s, _ := m[k].(string); return s }
	left, _ := m["attempts_left"].(float64)
	switch {
	case a.status >= 400:
		return got{result: text("code")}
	case in.what == "check":
		return got{result: text("result")}
	case in.what == "get":
		return got{result: text("status"), left: int(left)}
	}
	return got{id: text("id"), result: "ok"}
}

// history is what some clients did at once on some numbers.
type history struct {
	mu    sync.Mutex
	begin time.Time
	ops   []porcupine.Operation
	known map[string][]string // number → verifications
	codes map[string][]string // number → codes that came
}

// record runs clients on numbers of their own until each has made its requests.
func record(g target, r *rand.Rand, numbers []string, clients, requests int, think time.Duration) *history {
	h := &history{begin: time.Now(), known: map[string][]string{}, codes: map[string][]string{}}
	var all sync.WaitGroup
	for _, to := range numbers {
		for range clients {
			own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
			all.Go(func() {
				for range requests {
					h.one(g, own, to)
					time.Sleep(time.Duration(own.Int64N(int64(think) + 1)))
				}
			})
		}
	}
	all.Wait()
	return h
}

// one makes one request and writes it down.
func (h *history) one(g target, r *rand.Rand, to string) {
	in, ok := h.choose(g, r, to)
	if !ok {
		return
	}
	call := time.Since(h.begin).Nanoseconds()
	out := g.ask(r, in)
	end := time.Since(h.begin).Nanoseconds()
	if out.unsent {
		return
	}
	if out.unknown {
		end = math.MaxInt64 / 2 // it may still happen
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if in.what == "start" && out.id != "" {
		h.known[to] = append(h.known[to], out.id)
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: len(h.ops), Input: in, Output: out, Call: call, Return: end})
}

// choose returns the next request.
func (h *history) choose(g target, r *rand.Rand, to string) (request, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.known[to]
	if newest := g.code(to); newest != "" && !slices.Contains(h.codes[to], newest) {
		h.codes[to] = append(h.codes[to], newest)
	}
	codes := h.codes[to]
	if len(known) == 0 || r.IntN(100) < 15 {
		return request{what: "start", to: to}, len(known) < most-8
	}
	in := request{to: to, id: known[len(known)-1]}
	if r.IntN(6) == 0 {
		in.id = known[r.IntN(len(known))]
	}
	switch x := r.IntN(100); {
	case x < 30 && len(codes) > 0:
		in.what, in.code = "check", codes[len(codes)-1]
	case x < 40 && len(codes) > 0:
		in.what, in.code = "check", codes[r.IntN(len(codes))]
	case x < 60:
		in.what, in.code = "check", fmt.Sprintf("%06d", r.IntN(1_000_000))
	case x < 78:
		in.what = "resend"
	case x < 86:
		in.what = "cancel"
	default:
		in.what = "get"
	}
	return in, true
}

// decode tells for each check of which generation its code is. The codes of each verification are made again with the
// key, which only the deployment has.
func (h *history) decode(t *testing.T, find func(id.ID) (*verify.Verification, error)) {
	t.Helper()
	number := map[string]int{}
	codes := map[string][]string{}
	for _, list := range h.known {
		for i, text := range list {
			number[text] = i
			codes[text] = generations(t, find, text)
		}
	}
	for i := range h.ops {
		in, out := h.ops[i].Input.(request), h.ops[i].Output.(got)
		in.n, out.n = number[in.id], number[out.id]
		in.generation = slices.Index(codes[in.id], in.code)
		h.ops[i].Input, h.ops[i].Output = in, out
	}
}

// frozen is a store with one row in it.
type frozen struct {
	verify.Store
	v *verify.Verification
}

func (f frozen) Find(context.Context, id.ID) (*verify.Verification, error) { return f.v, nil }

type anyApp struct{}

func (anyApp) Application(app id.ID) (application.Application, error) {
	return application.Application{ID: app, Name: "shop", Brand: "Shop"}, nil
}

// generations returns the codes of a verification, by generation.
func generations(t *testing.T, find func(id.ID) (*verify.Verification, error), text string) (out []string) {
	t.Helper()
	v, err := id.Parse(id.Verification, text)
	if err != nil {
		t.Fatal(err)
	}
	row, err := find(v)
	if err != nil || row == nil {
		t.Fatalf("%s was acknowledged and is gone: %v", text, err)
	}
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: []byte("0123456789abcdef0123456789abcdef")}})
	if err != nil {
		t.Fatal(err)
	}
	for g := range row.Generation + 1 {
		was := *row
		was.Generation, was.Status, was.Expires = g, verify.Pending, time.Now().Add(time.Hour)
		s := verify.New(verify.Options{Store: frozen{v: &was}, Ring: ring, Now: time.Now})
		m, _, _, err := verify.Composer{Service: s, Apps: anyApp{}}.Compose(t.Context(), v, row.Deliveries[0])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.Code.Reveal())
	}
	return out
}

// judge checks one history.
func (h *history) judge(t *testing.T) (result porcupine.CheckResult) {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(model(), h.ops, time.Minute)
	if result == porcupine.Illegal {
		path := filepath.Join(os.TempDir(), "history-"+strings.ReplaceAll(t.Name(), "/", "-")+".html")
		if err := porcupine.VisualizePath(model(), info, path); err == nil {
			t.Logf("the history is drawn in %s", path)
		}
	}
	return result
}

// linear records and judges histories of a fleet, while it is disturbed.
func linear(t *testing.T, c *fleet, n int, find func(id.ID) (*verify.Verification, error)) {
	t.Helper()
	c.policy(map[string]any{"fresh_codes": true, "max_sends": modelSends})
	stop := make(chan struct{})
	seed := uint64(time.Now().UnixNano())
	disturbed := map[string]int{}
	var chaos sync.WaitGroup
	chaos.Go(func() { disturbed = c.disturb(stop, seed, 250*time.Millisecond) })
	r := rand.New(rand.NewPCG(seed, 1))
	var all []*history
	for i := range n {
		numbers := []string{drama(4 * i), drama(4*i + 1), drama(4*i + 2), drama(4*i + 3)}
		all = append(all, record(overHTTP{c}, r, numbers, 3, 25, 40*time.Millisecond))
	}
	close(stop)
	chaos.Wait()
	counts := map[string]int{}
	for _, h := range all {
		h.decode(t, find)
		result := h.judge(t)
		if counts[string(result)]++; result == porcupine.Illegal {
			t.Errorf("a history is illegal (seed %d)", seed)
		}
		for _, o := range h.ops {
			out := o.Output.(got)
			counts["requests"]++
			if out.unknown {
				counts["not known to have happened"]++
			}
			if out.result == "approved" && o.Input.(request).what == "check" {
				counts["approvals"]++
			}
		}
	}
	t.Logf("%d histories: %v; nodes %v", n, counts, disturbed)
	if counts["Ok"] < n || counts["approvals"] < n/4 {
		t.Errorf("%d of %d histories are legal, with %d approvals", counts["Ok"], n, counts["approvals"])
	}
}

func histories() int {
	if soak() {
		return 220
	}
	return 8
}

// TestLinearizableOnSQLite: one node that is killed and paused.
func TestLinearizableOnSQLite(t *testing.T) {
	t.Parallel()
	c := onSQLite(t)
	var db *sqlite.Guest
	linear(t, c, histories(), func(v id.ID) (*verify.Verification, error) {
		if db == nil {
			var err error
			if db, err = sqlite.OpenGuest(c.store); err != nil {
				return nil, err
			}
			t.Cleanup(func() { db.Close() })
		}
		return db.Find(context.Background(), v)
	})
}

// TestLinearizableOnPostgres: three nodes on one PostgreSQL that are killed, paused and cut from it.
func TestLinearizableOnPostgres(t *testing.T) {
	t.Parallel()
	c := onPostgres(t, pgtest.Start(t), 3)
	e, err := postgres.Open(t.Context(), postgres.Options{DSN: c.store})
	if err != nil {
		t.Fatal(err)
	}
	db := store.New(e, nil)
	defer db.Close()
	linear(t, c, histories(), func(v id.ID) (*verify.Verification, error) { return db.Find(context.Background(), v) })
}
