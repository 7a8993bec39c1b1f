//go:build linux

package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// result is all rounds of one system.
type result struct {
	name   string
	rounds []round
}

func (r *result) add(n round) { r.rounds = append(r.rounds, n) }

// median returns the middle of a figure over the rounds.
func median[T cmp.Ordered](r *result, of func(round) T) T {
	all := make([]T, len(r.rounds))
	for i, n := range r.rounds {
		all[i] = of(n)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// report prints the medians and their ratios to the first system, the floor.
func report(out io.Writer, all []*result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w,
		"system\toperation\ta second\tCPU us\tp50 ms\tp99 ms\tp99.9 ms\tallocations\tdisk bytes\tfdatasyncs\tRSS MB\t")
	for _, r := range all {
		line(w, r, "start", func(n round) phase { return n.start })
		line(w, r, "check", func(n round) phase { return n.check })
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "ratio to the floor\tstarts/s\tchecks/s\tCPU a cycle\tstart p50\tcheck p50\t\t\t\t\t\t")
	floor := all[0]
	ratio := func(r *result, of func(round) float64) float64 { return median(r, of) / median(floor, of) }
	for _, r := range all {
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\t\t\t\t\t\n", r.name,
			ratio(r, func(n round) float64 { return n.start.rate }), ratio(r, func(n round) float64 { return n.check.rate }),
			ratio(r, round.cycle), ratio(r, func(n round) float64 { return float64(n.start.p50) }),
			ratio(r, func(n round) float64 { return float64(n.check.p50) }))
	}
	return w.Flush()
}

func line(w io.Writer, r *result, name string, of func(round) phase) {
	each := func(get func(usage) int64) float64 {
		return median(r, func(n round) float64 { p := of(n); return float64(get(p.used)) / float64(p.ops) })
	}
	ms := func(get func(phase) time.Duration) float64 {
		return float64(median(r, func(n round) time.Duration { return get(of(n)) }).Microseconds()) / 1000
	}
	fmt.Fprintf(w, "%s\t%s\t%.0f\t%.1f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%.3f\t%.0f\t\n", r.name, name,
		median(r, func(n round) float64 { return of(n).rate }), median(r, func(n round) float64 { return of(n).cpu }),
		ms(func(p phase) time.Duration { return p.p50 }), ms(func(p phase) time.Duration { return p.p99 }),
		ms(func(p phase) time.Duration { return p.p999 }), each(func(u usage) int64 { return u.allocs }),
		each(func(u usage) int64 { return u.written }), each(func(u usage) int64 { return u.syncs }),
		float64(median(r, func(n round) int64 { return of(n).used.rss }))/(1<<20))
}
