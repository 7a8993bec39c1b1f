package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

// OpenNodes answers n stores on one fresh, empty database, as n nodes have them.
type OpenNodes func(t *testing.T, n int) []Store

// RunNodes runs the suite for stores that many nodes share.
func RunNodes(t *testing.T, open OpenNodes) {
	for name, test := range map[string]func(*testing.T, OpenNodes){
		"right codes on three nodes: one is approved":   nodesRight,
		"wrong codes on three nodes: five are compared": nodesWrong,
		"starts on three nodes: one message":            nodesStart,
		"one key of idempotency on three nodes":         nodesReplay,
		"limits are shared by three nodes":              nodesLimits,
		"a job is claimed by one node":                  nodesClaim,
		"an older attempt changes nothing":              nodesFence,
		"many numbers on three nodes":                   nodesMany,
		"a turn is one node's":                          nodesTurn,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open) })
	}
}

// nodes returns benches that share a database, a clock, a key ring and a tenant.
func nodes(t *testing.T, open OpenNodes) []*bench {
	t.Helper()
	stores := open(t, 3)
	first := newBench(t, func(*testing.T) Store { return stores[0] })
	out := []*bench{first}
	for _, s := range stores[1:] {
		b := newBench(t, func(*testing.T) Store { return s })
		b.clock, b.Now, b.live, b.test, b.apps = first.clock, first.clock.Now, first.live, first.test, first.apps
		out = append(out, b)
	}
	return out
}

func nodesRight(t *testing.T, open OpenNodes) {
	all := nodes(t, open)
	for round := range 5 {
		v := all[0].start(t, verify.StartRequest{To: drama(100 + round)})
		code := all[0].code(t, v)
		var got tally
		together(90, func(i int) {
			b := all[i%len(all)]
			a, err := b.Check(t.Context(), b.live, verify.CheckRequest{ID: v.ID, Code: code})
			if err != nil {
				t.Error(err)
				return
			}
			got.add(string(a.Result))
		})
		got.want(t, map[string]int{"approved": 1, "used": 89})
	}
}

func nodesWrong(t *testing.T, open OpenNodes) {
	all := nodes(t, open)
	for round := range 5 {
		v := all[0].start(t, verify.StartRequest{To: drama(100 + round)})
		code := all[0].code(t, v)
		var got tally
		together(90, func(i int) {
			b := all[i%len(all)]
			a, err := b.Check(t.Context(), b.live, verify.CheckRequest{ID: v.ID, Code: wrong(code)})
			if err != nil {
				t.Error(err)
				return
			}
			got.add(string(a.Result))
		})
		got.want(t, map[string]int{"incorrect": 4, "exhausted": 86})
		if kept := all[1].find(t, v); kept.Attempts != 5 {
			t.Errorf("%d attempts were counted, want 5", kept.Attempts)
		}
		n, err := all[2].store.NumberRow(t.Context(), v.Spec.Number)
		if err != nil || n.Streak != 5 {
			t.Errorf("%d wrong codes in a row were counted, want 5 (%v)", n.Streak, err)
		}
	}
}

func nodesStart(t *testing.T, open OpenNodes) {
	all := nodes(t, open)
	for round := range 10 { // each with a number that has no row yet
		var got tally
		together(30, func(i int) {
			b := all[i%len(all)]
			_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100 + round)})
			got.add(outcome(err))
		})
		got.want(t, map[string]int{"ok": 1, "rate_limited number_gap": 29})
	}
}

func nodesReplay(t *testing.T, open OpenNodes) {
	all := nodes(t, open)
	for round := range 5 {
		var got tally
		together(30, func(i int) {
			b := all[i%len(all)]
			_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100 + i), Replay: &verify.Replay{
				Key: [32]byte{byte(round + 1)}, Fingerprint: [32]byte{1},
				Render: func(a verify.CheckAnswer) []byte { return []byte(a.Verification.ID.Text(id.Verification)) },
			}})
			if _, again := err.(*verify.Replayed); again { //nolint:errorlint // the store wraps no answer of the work
				got.add("replayed")
				return
			}
			got.add(outcome(err))
		})
		got.want(t, map[string]int{"ok": 1, "replayed": 29})
		all[0].clock.Advance(time.Hour)
	}
}

func nodesLimits(t *testing.T, open OpenNodes) {
	all := nodes(t, open)
	for round := range 5 {
		client := &verify.Client{IP: fmt.Sprintf("203.0.113.%d", round)}
		var got tally
		together(30, func(i int) {
			b := all[i%len(all)]
			_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100 + round*30 + i), Client: client})
			got.add(outcome(err))
		})
		got.want(t, map[string]int{"ok": 10, "rate_limited client_hour": 20})
	}
}

func nodesClaim(t *testing.T, open OpenNodes) {
	all := nodes(t, open)
	const n = 60
	for i := range n {
		all[i%len(all)].start(t, verify.StartRequest{To: drama(100 + i)})
	}
	all[0].clock.Advance(time.Minute)
	var got tally
	together(6, func(i int) {
		for {
			jobs, err := all[i%len(all)].store.Claim(t.Context(), all[0].clock.Now(), verify.JobKind, 3, time.Minute)
			if err != nil {
				t.Error(err)
			}
			for _, j := range jobs {
				got.add(j.ID.Text(""))
			}
			if len(jobs) == 0 {
				return
			}
		}
	})
	// Rows that a neighbour was claiming were passed over: what is left is claimed now.
	rest, err := all[0].store.Claim(t.Context(), all[0].clock.Now(), verify.JobKind, n, time.Minute)
	if err != nil {
		t.Error(err)
	}
	for _, j := range rest {
		got.add(j.ID.Text(""))
	}
	if len(got.n) != n {
		t.Errorf("%d jobs were claimed, want %d", len(got.n), n)
	}
	for j, times := range got.n {
		if times != 1 {
			t.Errorf("job %s was claimed %d times", j, times)
		}
	}
}

// nodesFence claims a job on another node while the first one finishes it: whoever is first, the job ends once, and the
// attempt never goes back.
func nodesFence(t *testing.T, open OpenNodes) {
	all := nodes(t, open)
	for round := range 20 {
		all[0].start(t, verify.StartRequest{To: drama(100 + round)})
		job := all[0].jobs[len(all[0].jobs)-1]
		all[0].clock.Advance(time.Minute)
		var claimed []queue.Job
		together(2, func(i int) {
			if i == 0 {
				var err error
				if claimed, err = all[1].store.Claim(t.Context(), all[1].clock.Now(), verify.JobKind, 10, time.Minute); err != nil {
					t.Error(err)
				}
				return
			}
			err := all[0].store.Update(t.Context(), job.Ref, job.ID, func(tx deliver.Tx) error {
				kept, err := tx.Job(job.ID)
				if err != nil || kept == nil || kept.Attempt != job.Attempt {
					return err
				}
				kept.Due = all[0].clock.Now().Add(time.Hour) // put off by the first attempt
				tx.PutJob(*kept)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		err := all[2].store.Update(t.Context(), job.Ref, job.ID, func(tx deliver.Tx) error {
			kept, err := tx.Job(job.ID)
			if err != nil {
				return err
			}
			if want := 1 + len(claimed); kept == nil || kept.Attempt != want {
				t.Errorf("round %d: the kept attempt is %+v, want %d", round, kept, want)
			}
			tx.DropJob(job.ID)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// nodesMany runs whole verifications of overlapping numbers on all nodes at once, so that batches wait for each other.
func nodesMany(t *testing.T, open OpenNodes) {
	all := nodes(t, open)
	var got tally
	together(120, func(i int) {
		b := all[i%len(all)]
		v, err := b.Start(t.Context(), b.live,
			verify.StartRequest{To: drama(100 + i/2), Purpose: []string{"login", "registration"}[i%2]})
		if err != nil {
			got.add("start " + outcome(err))
			return
		}
		other := all[(i+1)%len(all)]
		a, err := other.Check(t.Context(), other.live, verify.CheckRequest{ID: v.ID, Code: other.code(t, v)})
		got.add("check " + string(a.Result) + " " + outcome(err))
	})
	// The two starts of a number come within its gap, unless the first was approved before the second began.
	if got.n["check approved ok"]+got.n["start rate_limited number_gap"] != 120 || got.n["check approved ok"] < 60 {
		t.Errorf("outcomes %v", got.n)
	}
}

// Turns is a store that shares recurring work among nodes.
type Turns interface {
	Turn(ctx context.Context, name string, node id.ID, now time.Time, period time.Duration) (mine bool, err error)
	Mark(ctx context.Context, name string) (n int64, err error)
	SetMark(ctx context.Context, name string, n int64) error
}

func nodesTurn(t *testing.T, open OpenNodes) {
	var all []Turns
	for _, s := range open(t, 3) {
		turns, ok := s.(Turns)
		if !ok {
			t.Fatalf("%T shares no turns", s)
		}
		all = append(all, turns)
	}
	RunTurns(t, all)
}

// RunTurns holds that of all nodes one has the turn, and that marks are kept. The stores may be one.
func RunTurns(t *testing.T, all []Turns) {
	t.Helper()
	c := newClock()
	for round := range 3 {
		var got tally
		together(9, func(i int) {
			mine, err := all[i%len(all)].Turn(t.Context(), "upkeep", id.ID{byte(i)}, c.Now(), time.Hour)
			if err != nil {
				t.Error(err)
			}
			got.add(fmt.Sprint(mine))
		})
		if got.n["true"] != 1 {
			t.Errorf("round %d: %d nodes have the turn, want 1", round, got.n["true"])
		}
		c.Advance(time.Hour)
	}
	if n, err := all[0].Mark(t.Context(), "upkeep"); n != 0 || err != nil {
		t.Errorf("a mark that nobody set: %d, %v", n, err)
	}
	if err := all[0].SetMark(t.Context(), "upkeep", 7); err != nil {
		t.Error(err)
	}
	if n, err := all[len(all)-1].Mark(t.Context(), "upkeep"); n != 7 || err != nil {
		t.Errorf("the mark of another node: %d, %v", n, err)
	}
}
