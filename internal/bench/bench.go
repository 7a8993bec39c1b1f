//go:build linux

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// system is something that verifies numbers.
type system interface {
	name() string
	// target returns how to ask it.
	target() target
	// cost returns what its processes have used since they began.
	cost() (usage, error)
	stop() error
}

// Run measures every system in alternating rounds and prints what it found.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "dialproof-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder in /tmp that stays is no fault of the figures
	sink, err := newSink(ctx, o.Sink)
	if err != nil {
		return err
	}
	defer sink.close()
	if o.Old+o.Pending > 0 {
		return growth(ctx, o, dir, sink)
	}
	var systems []system
	var apart cores
	begin := func() (err error) {
		systems, err = launch(ctx, o, dir, sink, !o.Overload)
		return err
	}
	if o.Overload {
		apart = splitCores()
		err = apart.serving(begin)
	} else {
		err = begin()
	}
	defer func() {
		for _, s := range systems {
			if stopped := s.stop(); err == nil {
				err = stopped
			}
		}
	}()
	if err != nil {
		return err
	}
	if o.Overload {
		return overload(ctx, o, dir, systems, sink, &apart)
	}
	fmt.Fprintf(o.Out, "%s\n%d connections, %d starts and checks a round, %d rounds in turn\n\n", machine(dir),
		o.Connections, o.Ops, o.Rounds)
	results := map[string]*result{}
	numbers := &numbers{}
	for round := range o.Rounds {
		for _, s := range systems {
			r, err := measure(ctx, s, sink, numbers, o)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", s.name(), round+1, err)
			}
			if results[s.name()] == nil {
				results[s.name()] = &result{name: s.name()}
			}
			results[s.name()].add(r)
			fmt.Fprintf(os.Stderr, "round %d: %-20s %6.0f starts/s %6.0f checks/s %5.0f us\n", round+1, s.name(), r.start.rate,
				r.check.rate, r.cycle())
		}
	}
	ordered := make([]*result, len(systems))
	for i, s := range systems {
		ordered[i] = results[s.name()]
	}
	return report(o.Out, ordered)
}

// launch starts the systems, others than ours too when they are to be compared. It answers those that run also when it
// fails.
func launch(ctx context.Context, o Options, dir string, sink *sink, compare bool) (out []system, err error) {
	var makers []func() (system, error)
	if compare {
		makers = append(makers,
			func() (system, error) { return startFloor(ctx, o.Program, filepath.Join(dir, "floor"), sink.url()) })
	} else {
		o.Peers = nil
	}
	makers = append(makers, func() (system, error) {
		return startDialproof(ctx, o.Program, filepath.Join(dir, "sqlite"), sink.url(), "")
	})
	if o.Postgres != "" {
		makers = append(makers, func() (system, error) { return startOnPostgres(ctx, o, dir, sink.url()) })
	}
	for _, p := range o.Peers {
		makers = append(makers, func() (system, error) { return newPeer(p, o.PeerPIDs) })
	}
	for _, m := range makers {
		s, err := m()
		if err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, nil
}

// round is one round of one system.
type round struct {
	start, check phase
}

// cycle returns the CPU of a start, its delivery and its check, in microseconds.
func (r round) cycle() float64 { return r.start.cpu + r.check.cpu }

// phase is what one kind of operation came to.
type phase struct {
	rate           float64 // a second
	cpu            float64 // microseconds an operation, of the server and its store
	p50, p99, p999 time.Duration
	used           usage
	ops            int
}

// measure runs one round.
func measure(ctx context.Context, s system, sink *sink, n *numbers, o Options) (r round, err error) {
	started := make([]started, o.Ops)
	r.start, err = run(ctx, s, o, func(l *lane, i int) error {
		number := n.next()
		id, err := s.target().start(l, number)
		started[i].number, started[i].id = number, id
		return err
	}, func() error { return sink.wait(ctx, started) })
	if err != nil {
		return r, fmt.Errorf("start: %w", err)
	}
	r.check, err = run(ctx, s, o, func(l *lane, i int) error {
		return s.target().check(l, started[i].id, sink.code(started[i].number))
	}, func() error { return nil })
	if err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	sink.forget(started)
	return r, nil
}

// started is a verification that was begun.
type started struct{ number, id string }

// run makes o.Ops operations over o.Connections connections. The phase ends when settle has returned.
func run(ctx context.Context, s system, o Options, op func(*lane, int) error,
	settle func() error) (p phase, err error) {
	before, err := s.cost()
	if err != nil {
		return p, err
	}
	begin := time.Now()
	took, err := drive(ctx, s.target().address(), o.Connections, o.Ops, op)
	if err == nil {
		err = settle()
	}
	if err != nil {
		return p, err
	}
	wall := time.Since(begin)
	after, err := s.cost()
	if err != nil {
		return p, err
	}
	p.ops, p.used = o.Ops, after.minus(before)
	p.rate = float64(o.Ops) / wall.Seconds()
	p.cpu = float64(p.used.cpu.Microseconds()) / float64(o.Ops)
	p.p50, p.p99, p.p999 = percentiles(took)
	return p, nil
}
