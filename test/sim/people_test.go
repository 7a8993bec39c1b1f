package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// request lets a node that is up do something, and reports whether its answer came back.
func (u *world) request(name string, f func(n *node)) (answered bool) {
	var up []*node
	for _, n := range u.nodes {
		if n.up {
			up = append(up, n)
		}
	}
	if len(up) == 0 {
		u.pause(time.Second)
		return false
	}
	n := up[u.rng.IntN(len(up))]
	done := false
	t := n.spawn(name, func() { u.current.busy = true; f(n); done = true })
	u.until(rpcTimeout, func() bool { return t.done || t.dead })
	return done && !(u.stormy && u.roll(u.lostAnswer))
}

// person has a number, a phone, and an application that wants to verify it.
type person struct {
	u     *world
	to    string
	app   int
	inbox []sms
	now   *known // the newest verification that the application knows of
	keys  int
}

// sms is a message as the person sees it.
type sms struct{ delivery, code string }

// known is a verification as its application knows it.
type known struct {
	id   id.ID
	dead map[string]bool // codes that a fresh one has killed
	over bool            // it is final
}

// life is what person and application do until the end.
func (p *person) life(end time.Time) {
	for time.Now().Before(end) {
		p.u.pause(p.u.between(0, p.u.think))
		p.turn()
	}
}

func (p *person) turn() {
	over := p.now != nil && p.now.over
	if p.now == nil || p.u.roll(0.1) || (over && p.u.roll(0.7)) {
		p.start()
		return
	}
	switch x := p.u.rng.Float64(); {
	case x < 0.35:
		p.check(p.code(), 1)
	case x < 0.40:
		p.check(p.code(), 2)
	case x < 0.50:
		p.check(p.any(), 1)
	case x < 0.65:
		p.check(wrong(p.code()), 1+p.u.rng.IntN(3))
	case x < 0.80:
		p.resend()
	case x < 0.85:
		p.cancel()
	default:
		p.start()
	}
}

// code returns the newest code for the verification at hand.
func (p *person) code() string {
	for _, m := range slices.Backward(p.inbox) {
		if p.u.judge.isOf(m.delivery, p.now.id) {
			return m.code
		}
	}
	return "000000"
}

// any returns any code that ever came.
func (p *person) any() string {
	if len(p.inbox) == 0 {
		return "999999"
	}
	return p.inbox[p.u.rng.IntN(len(p.inbox))].code
}

// wrong returns another code.
func wrong(right string) string {
	if strings.HasPrefix(right, "0") {
		return "1" + right[1:]
	}
	return "0" + right[1:]
}

// retries repeats a request with one idempotency key until it is answered, now and then without a key and once only.
func (p *person) retries(name string, f func(n *node, r *verify.Replay) error) (body string, err error, answered bool) {
	var r *verify.Replay
	tries := 1
	if p.u.roll(0.5) {
		p.keys++
		key := fmt.Sprintf("%s %d", p.to, p.keys)
		r = &verify.Replay{
			Key:         sha256.Sum256([]byte(key)),
			Fingerprint: sha256.Sum256([]byte(key + name)),
			Render: func(a verify.CheckAnswer) []byte {
				return []byte(a.Verification.ID.Text(id.Verification) + " " + string(a.Result))
			},
		}
		tries = 4
	}
	for range tries {
		err = nil
		answered = p.u.request(name, func(n *node) { err = f(n, r) })
		if answered && !errors.Is(err, &verify.Error{Code: verify.CodeUnavailable}) {
			break
		}
		answered = false
		p.u.pause(p.u.between(0, 5*time.Second))
	}
	if again, ok := errors.AsType[*verify.Replayed](err); ok {
		return string(again.Body), nil, answered
	}
	return "", err, answered
}

func (p *person) start() {
	u := p.u
	req := verify.StartRequest{To: p.to, Purpose: []string{"login", "registration"}[u.rng.IntN(2)]}
	if u.roll(0.3) {
		req.Client = &verify.Client{IP: fmt.Sprintf("203.0.113.%d", u.rng.IntN(3))}
	}
	var v *verify.Verification
	body, err, answered := p.retries("start", func(n *node, r *verify.Replay) (err error) {
		req.Replay = r
		v, err = n.core.Start(context.Background(), u.caller(p.app), req)
		return err
	})
	switch {
	case !answered:
		u.note("start: no answer")
	case err != nil:
		u.note("start: %v", err)
	case body != "":
		text, _, _ := strings.Cut(body, " ")
		first, err := id.Parse(id.Verification, text)
		if err != nil {
			u.judge.fault("a repeated start was answered %q", body)
		}
		u.note("start: %s, as before", u.judge.name(first))
		p.now = &known{id: first, dead: map[string]bool{}}
		u.judge.acknowledged(first, id.ID{})
	default:
		u.note("start: %s", u.judge.name(v.ID))
		p.now = &known{id: v.ID, dead: map[string]bool{}}
		u.judge.acknowledged(v.ID, v.Deliveries[0].ID)
	}
}

// check submits a code, several times at once if asked to.
func (p *person) check(code string, times int) {
	k, u, open := p.now, p.u, times
	for range times {
		u.spawn(p.to+" check", nil, func() {
			defer func() { open-- }()
			p.submit(k, code)
		})
	}
	u.until(0, func() bool { return open == 0 })
}

func (p *person) submit(k *known, code string) {
	u := p.u
	dead := k.dead[code]
	var a verify.CheckAnswer
	body, err, answered := p.retries("check "+code, func(n *node, r *verify.Replay) (err error) {
		a, err = n.core.Check(context.Background(), u.caller(p.app), verify.CheckRequest{ID: k.id, Code: code, Replay: r})
		return err
	})
	result := a.Result
	if body != "" {
		_, text, _ := strings.Cut(body, " ")
		result = verify.Result(text)
	}
	if !answered || err != nil {
		u.note("check %s of %s: answered %t, %v", code, u.judge.name(k.id), answered, err)
		return
	}
	u.note("check %s of %s: %s", code, u.judge.name(k.id), result)
	if dead && result == verify.ResultApproved {
		u.judge.fault("%s: an old code was approved after the resend with a fresh one had answered", u.judge.name(k.id))
	}
	k.over = result != verify.ResultIncorrect
	u.judge.answered(k.id, result)
}

func (p *person) resend() {
	u, k := p.u, p.now
	var old []string
	for _, m := range p.inbox {
		if u.judge.isOf(m.delivery, k.id) {
			old = append(old, m.code)
		}
	}
	var v *verify.Verification
	body, err, answered := p.retries("resend", func(n *node, r *verify.Replay) (err error) {
		v, err = n.core.Resend(context.Background(), u.caller(p.app), verify.ResendRequest{ID: k.id, Replay: r})
		return err
	})
	if !answered || err != nil {
		u.note("resend of %s: answered %t, %v", u.judge.name(k.id), answered, err)
		return
	}
	u.note("resend of %s", u.judge.name(k.id))
	if body == "" {
		u.judge.acknowledged(k.id, v.Deliveries[len(v.Deliveries)-1].ID)
	}
	if u.apps[p.app].Policy.FreshCodes {
		for _, code := range old {
			k.dead[code] = true
		}
	}
}

func (p *person) cancel() {
	u := p.u
	_, err, answered := p.retries("cancel", func(n *node, r *verify.Replay) error {
		_, err := n.core.Cancel(context.Background(), u.caller(p.app), p.now.id, r)
		return err
	})
	u.note("cancel of %s: answered %t, %v", u.judge.name(p.now.id), answered, err)
}

// mischief guesses codes of others and forges receipts.
func (u *world) mischief(end time.Time) {
	for time.Now().Before(end) {
		u.pause(u.between(0, 4*u.think))
		p := u.people[u.rng.IntN(len(u.people))]
		if p.now == nil {
			continue
		}
		if u.roll(0.5) {
			p.check(fmt.Sprintf("%06d", u.rng.IntN(1_000_000)), 1+u.rng.IntN(8))
			continue
		}
		token := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		c := u.carriers[0]
		if d := u.judge.someDelivery(); u.roll(0.5) && !d.IsZero() {
			// A true token, but of another route.
			token = u.nodes[0].handler.Callbacks.Token("beta", u.judge.ref[d], d)
		}
		c.forge(token)
	}
}

// chaos breaks the deployment until the end.
func (u *world) chaos(end time.Time) {
	tick := max(10*time.Second, time.Duration(u.minutes)*time.Minute/100)
	share := min(float64(tick)/float64(time.Minute), 1)
	for time.Now().Before(end) {
		u.pause(u.between(0, 2*tick))
		if u.roll(u.outage * share) {
			d := u.between(time.Second, time.Minute)
			u.note("the store is away for %s", d.Round(time.Second))
			u.away = time.Now().Add(d)
		}
		for _, n := range u.nodes {
			u.breakNode(n, share)
		}
	}
}

func (u *world) breakNode(n *node, share float64) {
	switch {
	case !n.up:
		return
	case u.roll(u.crash * share):
		n.crash()
	case u.roll(u.drainChance * share):
		n.drain()
	case u.roll(u.freeze * share):
		d := u.between(time.Second, 90*time.Second)
		u.note("%s stands still for %s", n.name, d.Round(time.Second))
		n.frozen = time.Now().Add(d)
		u.judge.trouble()
		u.judge.disturbed(n, "the node stood still")
		return
	default:
		return
	}
	u.spawn("operator", nil, func() {
		u.pause(u.between(0, 40*time.Second))
		u.until(0, func() bool { return !u.lives(n) })
		n.boot()
	})
}

// lives reports whether anything of a node is left.
func (u *world) lives(n *node) bool {
	return slices.ContainsFunc(u.tasks, func(t *task) bool { return t.node == n })
}
