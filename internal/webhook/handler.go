package webhook

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// Schedule returns how long an event waits after its n-th attempt, from 1 on; ok is false when it is given up (Standard
// Webhooks 1.0, "Retry schedule": the first attempt is made at once).
func Schedule(n int) (wait time.Duration, ok bool) {
	waits := [...]time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour,
		20 * time.Hour, 24 * time.Hour,
	}
	if n < 1 || n > len(waits) {
		return 0, false
	}
	return waits[n-1], true
}

// MaxTries is how often an event is sent before it is dead.
const MaxTries = 10

// Lease is how long a claimed event belongs to its node: longer than an attempt and the writing down of its result.
const Lease = time.Minute

// doubtful is the attempt from which on a failure makes its endpoint a failing one: about half an hour has passed then.
const doubtful = 4

// Metrics is told what happens. Methods must not block.
type Metrics interface {
	// Webhook counts an attempt by its result: delivered, failed, timeout, throttled, gone or refused.
	Webhook(result string)
}

// Handler brings events to their endpoints. It is the handler of the jobs that Lanes hands out.
type Handler struct {
	Lanes   *Lanes
	Sender  *Sender
	Log     *slog.Logger
	Metrics Metrics
	// Expire is called when what ref names may have ended by itself.
	Expire func(ctx context.Context, ref id.ID) error
	// Jitter returns a number from 0 to 1 that spreads the retries; nil: at random.
	Jitter func() float64
	// Agent is the User-Agent of the calls.
	Agent string
}

// Runner runs the jobs of events. What a job is about is known to Lanes.
type Runner = queue.Runner[struct{}]

// Runner returns the runner that sends: its workers are its own, so that endpoints that hang take none from the codes.
func (h *Handler) Runner(observe func(queue.Depth), poll time.Duration) *Runner {
	r := queue.NewRunner(queue.Options[struct{}]{
		Store: h.Lanes, Log: h.Log, Now: h.Lanes.Directory.Now, Lease: Lease, Poll: poll, Observe: observe,
		Kinds: []queue.Kind[struct{}]{{Name: jobKind, Workers: h.Lanes.Workers, Run: h.run}},
	})
	h.Lanes.wake = r.Wake
	return r
}

// run brings one event to its endpoint. Its row outlives the job, so that none is ever done: Lanes counts what is open.
func (h *Handler) run(ctx context.Context, j queue.Job, _ struct{}) (done bool, err error) {
	e := h.Lanes.take(j.ID)
	if e == nil {
		return false, errors.New("webhook: a job of another store")
	}
	return false, h.bring(ctx, e)
}

// bring makes one attempt and writes down what came of it.
func (h *Handler) bring(ctx context.Context, e *Event) error {
	d := h.Lanes.Directory
	var o outcome
	defer func() { h.Lanes.ended(e, o, d.Now()) }()
	if e.Kind == deadline {
		if err := h.Expire(ctx, e.Ref); err != nil {
			return err
		}
		return d.Store.DropEvent(context.WithoutCancel(ctx), *e)
	}
	endpoint, err := d.Endpoint(e.Endpoint)
	if err != nil {
		return nil // deleted a moment ago, with its rows
	}
	begin := d.Now()
	o = h.attempt(ctx, &endpoint, e, begin)
	if ctx.Err() != nil && o.result != taken {
		return nil // the node is stopping: not the endpoint's fault, and the lease ends soon
	}
	h.Metrics.Webhook(string(o.result))
	h.settle(e, &endpoint, o, begin, d.Now())
	err = d.Store.FinishEvent(context.WithoutCancel(ctx), *e)
	if errors.Is(err, ErrFenced) {
		return nil // replayed or dropped meanwhile
	}
	if err != nil {
		return err
	}
	return h.judge(context.WithoutCancel(ctx), &endpoint, e, o)
}

// attempt signs and sends.
func (h *Handler) attempt(ctx context.Context, endpoint *Endpoint, e *Event, now time.Time) outcome {
	d := h.Lanes.Directory
	text, err := d.open(e)
	if err != nil {
		return outcome{result: failed, why: "was not sent: the body was sealed with a key that is not on the key ring"}
	}
	keys, err := endpoint.keys(d.Ring, now)
	if err != nil || len(keys) == 0 {
		return outcome{result: failed, why: "was not sent: the secret was sealed with a key that is not on the key ring"}
	}
	event := e.Event.Text(id.Event)
	return h.Sender.post(ctx, endpoint.URL, http.Header{
		"Content-Type":      {"application/json"},
		"User-Agent":        {h.Agent},
		"Webhook-Id":        {event},
		"Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)},
		"Webhook-Signature": {Sign(keys, event, now, text)},
	}, text, now)
}

// settle notes an attempt in its event and decides what follows.
func (h *Handler) settle(e *Event, endpoint *Endpoint, o outcome, begin, end time.Time) {
	e.Tries++
	e.Log = append(e.Log, Attempt{
		At:     begin.UTC().Truncate(time.Millisecond),
		Status: o.status,
		Error:  o.why,
		Took:   end.Sub(begin).Milliseconds(),
	})
	e.Log = e.Log[max(len(e.Log)-maxLog, 0):]
	wait, again := Schedule(e.Tries)
	switch {
	case o.result == taken:
		e.State, e.Due = Delivered, time.Time{}
		return
	case o.result == gone || !again:
		e.State, e.Due = Dead, time.Time{}
		h.Log.Warn("an event was given up", "webhook", endpoint.ID.Text(id.Webhook), "event", e.Event.Text(id.Event),
			"kind", string(e.Kind), "attempts", e.Tries, "why", o.why)
		return
	}
	jitter := rand.Float64 // it spreads retries
	if h.Jitter != nil {
		jitter = h.Jitter
	}
	wait += time.Duration(float64(wait) * 0.1 * jitter())
	e.Due = end.Add(max(wait, o.retry))
}

// judge takes the consequences for the endpoint itself. They are written seldom: when it begins to fail, when it is
// well again, and when it is disabled.
func (h *Handler) judge(ctx context.Context, was *Endpoint, e *Event, o outcome) error {
	now := h.Lanes.Directory.Now()
	var change func(*Endpoint) bool
	switch {
	case o.result == taken && !was.Failing.IsZero():
		change = func(e *Endpoint) bool {
			failing := !e.Failing.IsZero()
			e.Failing = time.Time{}
			return failing
		}
	case o.result == gone:
		change = func(e *Endpoint) bool { return e.Disable(ByGone, now) }
	case o.result == taken:
		return nil
	case was.Failing.IsZero() && e.Tries >= doubtful:
		change = func(e *Endpoint) bool {
			well := e.Failing.IsZero()
			if well {
				e.Failing = now.UTC()
			}
			return well
		}
	case !was.Failing.IsZero() && now.Sub(was.Failing) >= FailingFor:
		change = func(e *Endpoint) bool { return e.Disable(ByFailing, now) }
	default:
		return nil
	}
	after, err := h.Lanes.Directory.change(ctx, was.ID, func(e *Endpoint) (bool, error) { return change(e), nil })
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && was.Enabled() && !after.Enabled() {
		h.Log.Error("an endpoint was disabled: see `dialproof webhook list`", "webhook", was.ID.Text(id.Webhook),
			"reason", string(after.Reason))
	}
	return err
}
