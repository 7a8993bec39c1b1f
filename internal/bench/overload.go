//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// offer is a load of starts. With a rate it does not wait for answers: each start is due at its time, and its latency
// counts from then, however late it could be sent. Without one, each connection asks again as soon as it has its
// answer.
type offer struct {
	rate        float64 // a second; 0: as fast as it is answered
	connections int
	// how many starts may be under way at once; each caller has as many of the connections as the others, and uses them in
	// turn
	callers int
	lasts   time.Duration
}

// openConnections is over how many connections the loads come, and so how many starts of one with a rate may be under
// way at once: that bounds what the load itself can queue. How late the load was reports whether there are enough.
const openConnections = 256

// warm is the share of a load that is not counted: a system needs a moment to see that it is too much.
const warm = .1

// shot is one start. Its times count from the begin of the load.
type shot struct {
	due, sent, done time.Duration
	number          string // empty: it was refused
}

// outcome is what became of a load.
type outcome struct {
	offered, accepted, refused float64       // a second
	p50, p99                   time.Duration // of what was accepted, since it was due
	sent99                     time.Duration // since it was sent
	refusal99                  time.Duration // of what was refused, since it was sent
	lag99                      time.Duration // how late the load itself was
	behind                     time.Duration // how long after the last answer the last message came
}

// starts makes the load and answers what became of it.
func (o offer) starts(ctx context.Context, s system, n *numbers) (outcome, []started, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lanes := make([]*lane, o.connections)
	for i := range lanes {
		l, err := dial(ctx, s.target().address())
		if err != nil {
			return outcome{}, nil, err
		}
		defer l.conn.Close() //nolint:errcheck // everything was answered
		lanes[i] = l
	}
	shots := make([][]shot, o.callers)
	var next atomic.Int64
	var all sync.WaitGroup
	begin := time.Now().Add(50 * time.Millisecond)
	for caller := range o.callers {
		all.Go(func() {
			for at := caller; ctx.Err() == nil; at = (at + o.callers) % len(lanes) {
				due := o.due(next.Add(1)-1, begin)
				if due >= o.lasts {
					return
				}
				shot, err := fire(lanes[at], s.target(), n.next(), begin, due)
				if err != nil {
					cancel(err)
					return
				}
				shots[caller] = append(shots[caller], shot)
			}
		})
	}
	all.Wait()
	out := slices.Concat(shots...)
	return judge(out, o.lasts), taken(out), context.Cause(ctx)
}

// due returns when the next start is due, after the begin.
func (o offer) due(i int64, begin time.Time) time.Duration {
	if o.rate == 0 {
		return max(time.Since(begin), 0)
	}
	return time.Duration(float64(i) / o.rate * float64(time.Second))
}

// fire makes one start at its time.
func fire(l *lane, t target, number string, begin time.Time, due time.Duration) (s shot, err error) {
	time.Sleep(due - time.Since(begin))
	s.due, s.sent = due, time.Since(begin)
	_, err = t.start(l, number)
	s.done = time.Since(begin)
	switch {
	case err == nil:
		s.number = number
	case !errors.Is(err, errBusy):
		return s, err
	case !l.retry:
		return s, errors.New("a refusal says not when to come again")
	}
	return s, nil
}

// taken returns the starts that were accepted.
func taken(all []shot) (out []started) {
	for _, s := range all {
		if s.number != "" {
			out = append(out, started{number: s.number})
		}
	}
	return out
}

// judge counts the answers that came within the load's time, and the latencies of what was due in it.
func judge(all []shot, lasts time.Duration) (o outcome) {
	from := time.Duration(warm * float64(lasts))
	var good, sent, bad, lag []time.Duration
	for _, s := range all {
		if s.sent >= from && s.sent < lasts {
			o.offered++
		}
		if s.done >= from && s.done < lasts {
			if s.number != "" {
				o.accepted++
			} else {
				o.refused++
			}
		}
		if s.due < from {
			continue
		}
		lag = append(lag, s.sent-s.due)
		if s.number != "" {
			good, sent = append(good, s.done-s.due), append(sent, s.done-s.sent)
		} else {
			bad = append(bad, s.done-s.sent)
		}
	}
	seconds := (lasts - from).Seconds()
	o.offered, o.accepted, o.refused = o.offered/seconds, o.accepted/seconds, o.refused/seconds
	o.p50, o.p99, _ = percentiles(good)
	_, o.sent99, _ = percentiles(sent)
	_, o.refusal99, _ = percentiles(bad)
	_, o.lag99, _ = percentiles(lag)
	return o
}

// overload offers each system half of what it can do, and twice. What it can do is what callers that wait get, of the
// same server over as many connections. A first round is not counted: it fills the server's memory, which costs in
// every later one.
func overload(ctx context.Context, o Options, dir string, systems []system, sink *sink, c *cores) error {
	fmt.Fprintf(o.Out,
		"%s\n%s\nstarts over %d connections, %d s each, medians of %d rounds; peak: %d callers that wait (few "+
			"connections: over one each); then each start is due at its time\n\n", machine(dir), c, openConnections, o.Seconds,
		o.Rounds, o.Connections)
	n, found := &numbers{}, make([][]loads, len(systems))
	for round := range o.Rounds + 1 {
		for i, s := range systems {
			t, err := overloadOne(ctx, o, s, sink, n)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name(), err)
			}
			if round == 0 {
				continue
			}
			found[i] = append(found[i], t)
			fmt.Fprintf(os.Stderr,
				"round %d: %-20s peak %6.0f; at twice %6.0f offered, %6.0f accepted (%.2f), p99 %v, %.1f times that at half\n",
				round, s.name(), t[atPeak].accepted, t[atTwice].offered, t[atTwice].accepted, t.kept(atTwice),
				t[atTwice].p99.Round(100*time.Microsecond), t.slower(atTwice))
		}
	}
	w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w,
		"system\tload\toffered/s\taccepted/s\tof peak\trefused/s\tp50 ms\tp99 ms\tp99 to half\tp99 since sent\trefusal "+
			"p99\tload late p99\tlast message\t")
	for i, s := range systems {
		overloadLines(w, s.name(), found[i])
	}
	return w.Flush()
}

// loads is what became of the loads of a round.
type loads [4]outcome

// The loads, in their order: the half is last, so that the next round finds a node that has recovered. What a node can
// do over few connections that are always busy is told as well, as it is more: each connection costs cache and memory.
const (
	atFew = iota
	atPeak
	atTwice
	atHalf
)

// kept returns which share of the peak a load got.
func (t loads) kept(load int) float64 { return t[load].accepted / t[atPeak].accepted }

// slower returns how much longer a load's 99th of a hundred took than at half load.
func (t loads) slower(load int) float64 { return float64(t[load].p99) / float64(t[atHalf].p99) }

func overloadOne(ctx context.Context, o Options, s system, sink *sink, n *numbers) (t loads, err error) {
	for i, share := range []float64{atFew: 0, atPeak: 0, atTwice: 2, atHalf: .5} {
		load := offer{
			rate:        t[atPeak].accepted * share,
			connections: openConnections,
			callers:     openConnections,
			lasts:       time.Duration(o.Seconds) * time.Second,
		}
		if share == 0 {
			load.callers = o.Connections
		}
		if i == atFew {
			load.connections = o.Connections
		}
		out, accepted, err := load.starts(ctx, s, n)
		if err != nil {
			return t, err
		}
		ended := time.Now()
		if err := sink.wait(ctx, accepted); err != nil {
			return t, err
		}
		out.behind = time.Since(ended)
		sink.forget(accepted)
		t[i] = out
	}
	return t, nil
}

// overloadLines prints the medians of a system. Latencies are in milliseconds.
func overloadLines(w io.Writer, name string, rounds []loads) {
	middle := func(of func(loads) float64) float64 {
		all := make([]float64, len(rounds))
		for i, t := range rounds {
			all[i] = of(t)
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	for i, load := range []string{atFew: "few connections", atPeak: "peak", atTwice: "twice", atHalf: "half"} {
		ms := func(of func(outcome) time.Duration) float64 {
			return middle(func(t loads) float64 { return float64(of(t[i]).Microseconds()) / 1000 })
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.2f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t\n", name, load,
			middle(func(t loads) float64 { return t[i].offered }), middle(func(t loads) float64 { return t[i].accepted }),
			middle(func(t loads) float64 { return t.kept(i) }), middle(func(t loads) float64 { return t[i].refused }),
			ms(func(o outcome) time.Duration { return o.p50 }), ms(func(o outcome) time.Duration { return o.p99 }),
			middle(func(t loads) float64 { return t.slower(i) }), ms(func(o outcome) time.Duration { return o.sent99 }),
			ms(func(o outcome) time.Duration { return o.refusal99 }), ms(func(o outcome) time.Duration { return o.lag99 }),
			ms(func(o outcome) time.Duration { return o.behind }))
	}
}
