package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// story is a short life of one verification on one node. It is run without a fault first, which counts its steps, and
// then once with each fault at each step.
type story struct {
	name  string
	app   int
	alpha []outcome // how the carriers' first calls end; after them all is well
	beta  []outcome
	tell  func(c *teller) error
}

// teller is the application and the person of a story. It repeats what is not answered, as a good client does.
type teller struct {
	*person
	keys  int
	v     id.ID
	fresh bool // a resend has made a new code
	seen  int  // messages that had come before
}

func stories() []story {
	no := outcome{kind: channel.Unavailable}
	return []story{
		{"start, wrong code, right code", 0, nil, nil, func(c *teller) error {
			return c.all(c.starts, c.types("wrong", verify.ResultIncorrect), c.types("right", verify.ResultApproved))
		}},
		{"the first route is away, resend, right code", 0, []outcome{no}, nil, func(c *teller) error {
			return c.all(c.starts, c.waits(31*time.Second), c.resends, c.types("right", verify.ResultApproved))
		}},
		{"every route is away for a while, cancel", 0, []outcome{no, no}, []outcome{no, no}, func(c *teller) error {
			return c.all(c.starts, c.waits(20*time.Second), c.cancels, c.types("right", verify.ResultCanceled))
		}},
		{"a fresh code kills the old one", 1, nil, nil, func(c *teller) error {
			return c.all(c.starts, c.waits(31*time.Second), c.resends, c.types("first", verify.ResultIncorrect),
				c.types("right", verify.ResultApproved))
		}},
		{"an order of channels", 2, nil, nil, func(c *teller) error {
			return c.all(c.starts, c.waits(50*time.Second), c.types("right", verify.ResultApproved))
		}},
		{"the last wrong code", 1, nil, nil, func(c *teller) error {
			w := c.types("wrong", verify.ResultIncorrect)
			return c.all(c.starts, w, w, c.types("wrong", verify.ResultExhausted), c.types("right", verify.ResultExhausted))
		}},
	}
}

func (c *teller) all(steps ...func() error) error {
	for _, s := range steps {
		if err := s(); err != nil {
			return err
		}
	}
	return nil
}

// insists repeats a request under one idempotency key until it is answered.
func (c *teller) insists(name string, f func(n *node, r *verify.Replay) error) (body string, err error) {
	c.keys++
	key := sha256.Sum256(fmt.Appendf(nil, "%d", c.keys))
	r := &verify.Replay{Key: key, Fingerprint: key, Render: func(a verify.CheckAnswer) []byte {
		return []byte(a.Verification.ID.Text(id.Verification) + " " + string(a.Result))
	}}
	for range 8 {
		err = errors.New("no answer")
		c.u.request(name, func(n *node) { err = f(n, r) })
		if again, ok := errors.AsType[*verify.Replayed](err); ok {
			return string(again.Body), nil
		}
		if v, ok := errors.AsType[*verify.Error](err); err == nil || (ok && v.Code != verify.CodeUnavailable) {
			return "", err
		}
		c.u.pause(time.Second)
	}
	return "", err
}

func (c *teller) starts() error {
	body, err := c.insists("start", func(n *node, r *verify.Replay) error {
		v, err := n.core.Start(context.Background(), c.u.caller(c.app), verify.StartRequest{To: c.to, Replay: r})
		if err == nil {
			c.v = v.ID
			c.u.judge.acknowledged(v.ID, v.Deliveries[0].ID)
		}
		return err
	})
	if body != "" {
		text, _, _ := strings.Cut(body, " ")
		c.v, err = id.Parse(id.Verification, text)
		c.u.judge.acknowledged(c.v, id.ID{})
	}
	return err
}

func (c *teller) waits(d time.Duration) func() error {
	return func() error { c.u.pause(d); return nil }
}

func (c *teller) resends() error {
	c.fresh, c.seen = c.app == 1, len(c.inbox)
	_, err := c.insists("resend", func(n *node, r *verify.Replay) error {
		_, err := n.core.Resend(context.Background(), c.u.caller(c.app), verify.ResendRequest{ID: c.v, Replay: r})
		return err
	})
	return err
}

func (c *teller) cancels() error {
	_, err := c.insists("cancel", func(n *node, r *verify.Replay) error {
		_, err := n.core.Cancel(context.Background(), c.u.caller(c.app), c.v, r)
		return err
	})
	return err
}

// types submits the newest code, the first one or a wrong one, as soon as a message is there.
func (c *teller) types(which string, want verify.Result) func() error {
	return func() error {
		if which == "first" && c.seen == 0 {
			return nil // it never came
		}
		there := func() bool { return len(c.inbox) > 0 && (!c.fresh || len(c.inbox) > c.seen) }
		if !c.u.until(3*time.Minute, there) {
			return c.nothingCame()
		}
		code := map[string]string{"right": c.inbox[len(c.inbox)-1].code, "first": c.inbox[0].code,
			"wrong": wrong(c.inbox[0].code)}[which]
		var got verify.Result
		body, err := c.insists("check "+which, func(n *node, r *verify.Replay) error {
			a, err := n.core.Check(context.Background(), c.u.caller(c.app), verify.CheckRequest{ID: c.v, Code: code, Replay: r})
			got = a.Result
			return err
		})
		if body != "" {
			_, text, _ := strings.Cut(body, " ")
			got = verify.Result(text)
		}
		if err != nil || got != want {
			return fmt.Errorf("the %s code: %s, %v", which, got, err) //nolint:errorlint // for the report alone
		}
		c.u.judge.answered(c.v, got)
		return nil
	}
}

// nothingCame reports whether it is right that no message came: a carrier has rejected the number, or took the message
// and lost it.
func (c *teller) nothingCame() error {
	v := c.u.data.Verification(c.v)
	if v.Status == verify.Canceled {
		return errNothingCame
	}
	for i, d := range v.Deliveries {
		if c.fresh && i < len(v.Deliveries)-1 {
			continue // the old code may have come
		}
		if d.Kind != channel.Rejected && d.Status != channel.Unknown {
			return fmt.Errorf("no message came, and the delivery is %s", d.Status)
		}
	}
	return errNothingCame
}

var errNothingCame = errors.New("nothing came, and the record says so")

// told is what came of a story with one fault.
type told struct {
	ops, calls int // steps of the store, calls to carriers
	names      []string
	doubles    map[string]int
	faults     []string
	trace      []string
}

// tell runs a story with a fault at one step of the store, or with another end of one call.
func (s story) tell1(t *testing.T, at int, f fault, call int, end outcome) (out told) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(*testing.T) {
		u := newWorld(1, weather{nodes: 1})
		u.fault = func(op string) fault {
			out.ops++
			out.names = append(out.names, u.current.name[len("n0 "):]+" "+op)
			if out.ops == at {
				return f
			}
			return fault{}
		}
		for i, script := range [][]outcome{s.alpha, s.beta} {
			u.carriers[i].script = func(n int) outcome {
				out.calls++
				if out.calls == call {
					return end
				}
				if n <= len(script) {
					return script[n-1]
				}
				return outcome{leaves: true}
			}
		}
		out.faults = s.play(u)
		out.doubles, out.trace = u.judge.doubles, u.trace
		u.finish()
	})
	return out
}

// play runs the story to its end and everything to rest.
func (s story) play(u *world) []string {
	n := u.nodes[0]
	n.boot()
	u.spawn("operator", nil, func() {
		for {
			u.until(0, func() bool { return !n.up && !u.lives(n) })
			u.pause(time.Second)
			n.boot()
		}
	})
	c := &teller{person: &person{u: u, to: number(0), app: s.app}}
	u.people = []*person{c.person}
	var err error
	done := false
	u.spawn("teller", nil, func() { err = s.tell(c); done = true })
	for end := time.Now().Add(20 * time.Minute); (!done || u.data.OpenJobs() > 0) && time.Now().Before(end) && u.step(); {
		u.judge.after()
	}
	u.judge.final()
	if !done {
		u.judge.fault("the story did not come to its end")
	} else if err != nil && !errors.Is(err, errNothingCame) {
		u.judge.fault("%v", err)
	}
	return u.judge.faults
}

func storeFaults() map[string]fault {
	lost := fmt.Errorf("the request has ended: %w", context.Canceled)
	full := fmt.Errorf("database or disk is full: %w", unavailable())
	io := fmt.Errorf("disk I/O error: %w", unavailable())
	reset := fmt.Errorf("connection reset by peer: %w", unavailable())
	return map[string]fault{
		"disk full before":              {before: true, err: full},
		"I/O error before":              {before: true, err: io},
		"context cancelled before":      {before: true, err: lost},
		"connection reset after COMMIT": {after: true, err: reset},
		"context cancelled after":       {after: true, err: lost},
		"run twice":                     {twice: true},
		"node killed before":            {before: true, crash: true},
		"node killed after":             {crash: true},
	}
}

func callEnds() map[string]outcome {
	return map[string]outcome{
		"unavailable":                    {kind: channel.Unavailable},
		"throttled":                      {kind: channel.Throttled},
		"refused":                        {kind: channel.Refused},
		"rejected":                       {kind: channel.Rejected},
		"answer lost, not sent":          {kind: channel.MaybeSent},
		"answer lost, sent":              {kind: channel.MaybeSent, leaves: true},
		"no answer until the time-out":   {kind: channel.MaybeSent, leaves: true, takes: callLimit},
		"panics after sending":           {leaves: true, panics: true},
		"node killed before it was sent": {crash: true, before: true},
		"node killed after it was sent":  {crash: true, leaves: true},
	}
}

// TestEveryStep is the table: each operation of the store and each call to a carrier, failing before and after its
// effect.
func TestEveryStep(t *testing.T) {
	ends, faults := callEnds(), storeFaults()
	type sum struct{ runs, doubles int }
	table := map[string]*sum{}
	note := func(name string, s story, step string, out told) {
		if table[name] == nil {
			table[name] = &sum{}
		}
		table[name].runs++
		for _, n := range out.doubles {
			table[name].doubles += n
		}
		if len(out.faults) > 0 {
			t.Errorf("%s: %s at %s:\n  %s\n%s", s.name, name, step, strings.Join(out.faults, "\n  "),
				strings.Join(out.trace, "\n"))
		}
	}
	for _, s := range stories() {
		calm := s.tell1(t, 0, fault{}, 0, outcome{})
		note("nothing", s, "no step", calm)
		t.Logf("%s: %d operations of the store, %d calls", s.name, calm.ops, calm.calls)
		for at := range calm.ops {
			for _, name := range slices.Sorted(maps.Keys(faults)) {
				note(name, s, fmt.Sprintf("operation %d (%s)", at+1, calm.names[at]), s.tell1(t, at+1, faults[name], 0, outcome{}))
			}
		}
		for call := range calm.calls {
			for _, name := range slices.Sorted(maps.Keys(ends)) {
				note("call: "+name, s, fmt.Sprintf("call %d", call+1), s.tell1(t, 0, fault{}, call+1, ends[name]))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		t.Logf("%-36s %4d runs, %2d messages twice", name, table[name].runs, table[name].doubles)
	}
}
