package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// open is a load that does not wait for answers: each operation is due at its time, and its latency counts from then, however
// late it could be sent.
type open struct {
	rate        float64 // offered a second
	connections int
	lasts       time.Duration
}

// openConnections is how many requests of an open load may be under way at once. It bounds what the load itself can queue.
const openConnections = 512

// warm is the share of a load that is not counted: a system needs a moment to see that it is too much.
const warm = .1

// outcome is what became of an open load.
type outcome struct {
	offered, accepted float64 // a second
	refused           float64 // a second
	p50, p99          time.Duration
	refusal99         time.Duration
}

// starts makes an open load of starts and answers what became of it.
func (o open) starts(ctx context.Context, s system, n *numbers) (outcome, []started, error) {
	ops := int(o.rate * o.lasts.Seconds())
	took, busy, all := make([]time.Duration, ops), make([]bool, ops), make([]started, ops)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var lanes sync.WaitGroup
	begin := time.Now().Add(50 * time.Millisecond)
	one := func(l *lane, i int) error {
		due := begin.Add(time.Duration(float64(i) / o.rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		number := n.next()
		_, err := s.target().start(l, number)
		took[i] = time.Since(due)
		if busy[i] = errors.Is(err, errBusy); !busy[i] {
			all[i].number = number
			return err
		}
		if !l.retry {
			return errors.New("a refusal says not when to come again")
		}
		return nil
	}
	for range o.connections {
		l, err := dial(ctx, s.target().address())
		if err != nil {
			return outcome{}, nil, err
		}
		lanes.Go(func() {
			defer l.conn.Close() //nolint:errcheck // everything was answered
			for i := int(next.Add(1)) - 1; i < ops && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := one(l, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	lanes.Wait()
	wall := time.Since(begin)
	return judge(took, busy, wall), taken(all), context.Cause(ctx)
}

// taken answers the starts that were accepted.
func taken(all []started) []started {
	out := all[:0]
	for _, a := range all {
		if a.number != "" {
			out = append(out, a)
		}
	}
	return out
}

func judge(took []time.Duration, busy []bool, wall time.Duration) (o outcome) {
	var good, bad []time.Duration
	from := int(warm * float64(len(took)))
	for i := from; i < len(took); i++ {
		if busy[i] {
			bad = append(bad, took[i])
		} else {
			good = append(good, took[i])
		}
	}
	seconds := wall.Seconds() * (1 - warm)
	o.offered, o.accepted, o.refused = float64(len(took)-from)/seconds, float64(len(good))/seconds, float64(len(bad))/seconds
	if len(good) > 0 {
		o.p50, o.p99, _ = percentiles(good)
	}
	if len(bad) > 0 {
		_, o.refusal99, _ = percentiles(bad)
	}
	return o
}

// overload offers each system half of what it can do, and twice. What it can do is what a load that waits gets.
func overload(ctx context.Context, o Options, dir string, systems []system, sink *sink) error {
	fmt.Fprintf(o.Out, "%s\nstarts; peak: %d connections that wait; then %d connections on which each start is due at its time, %d s each\n\n",
		machine(dir), o.Connections, openConnections, o.Seconds)
	w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "system\tload\toffered/s\taccepted/s\tof peak\trefused/s\tp50 ms\tp99 ms\tp99 to half\trefusal p99 ms\t")
	n := &numbers{}
	for _, s := range systems {
		if err := overloadOne(ctx, o, s, sink, n, w); err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
	}
	return w.Flush()
}

func overloadOne(ctx context.Context, o Options, s system, sink *sink, n *numbers, w *tabwriter.Writer) error {
	all := make([]started, o.Ops)
	peak, err := run(ctx, s, o, func(l *lane, i int) error {
		all[i].number = n.next()
		_, err := s.target().start(l, all[i].number)
		return err
	}, func() error { return sink.wait(ctx, all) })
	if err != nil {
		return err
	}
	sink.forget(all)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	fmt.Fprintf(w, "%s\tpeak\t\t%.0f\t1.00\t\t%.2f\t%.2f\t\t\t\n", s.name(), peak.rate, ms(peak.p50), ms(peak.p99))
	var half time.Duration
	for _, share := range []float64{.5, 2} {
		load := open{rate: peak.rate * share, connections: openConnections, lasts: time.Duration(o.Seconds) * time.Second}
		out, accepted, err := load.starts(ctx, s, n)
		if err != nil {
			return err
		}
		if err := sink.wait(ctx, accepted); err != nil {
			return err
		}
		sink.forget(accepted)
		if share < 1 {
			half = out.p99
		}
		fmt.Fprintf(w, "%s\t%g x\t%.0f\t%.0f\t%.2f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", s.name(), share, out.offered, out.accepted,
			out.accepted/peak.rate, out.refused, ms(out.p50), ms(out.p99), float64(out.p99)/float64(half), ms(out.refusal99))
		fmt.Fprintf(os.Stderr, "%s: %g times the peak done\n", s.name(), share)
	}
	return nil
}
