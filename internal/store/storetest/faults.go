package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// Load starts and checks verifications on stores that may fail, and knows what was acknowledged.
type Load struct {
	nodes []*bench
	mu    sync.Mutex
	// started and approved are what has been acknowledged.
	started, approved []id.ID
	outcomes          tally
	next              int
}

// NewLoad returns a load for nodes that share one database.
func NewLoad(t *testing.T, stores ...Store) *Load {
	t.Helper()
	return &Load{nodes: nodes(t, func(t *testing.T, _ int) []Store {
		t.Helper()
		return stores
	})}
}

// Another returns a load on the same nodes that knows of its own verifications alone.
func (l *Load) Another() *Load {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Load{nodes: l.nodes, next: l.next + 100_000}
}

// Run does n verifications, so many at once, each with a number of its own: a start, a wrong code, the right code, the
// right code again.
func (l *Load) Run(t *testing.T, n, atOnce int) {
	t.Helper()
	work := make(chan int, n)
	l.mu.Lock()
	for range n {
		work <- l.next
		l.next++
	}
	l.mu.Unlock()
	close(work)
	together(atOnce, func(int) {
		for i := range work {
			l.one(t, i)
		}
	})
}

func (l *Load) one(t *testing.T, i int) {
	b := l.nodes[i%len(l.nodes)]
	v, err := b.Start(t.Context(), b.live, verify.StartRequest{To: fmt.Sprintf("+4477%08d", 10_000_000+i)})
	l.outcomes.add("start " + outcome(err))
	if err != nil {
		return
	}
	l.mu.Lock()
	l.started = append(l.started, v.ID)
	l.mu.Unlock()
	m, _, _, err := verify.Composer{Service: b.Service, Apps: b}.Compose(t.Context(), v.ID, v.Deliveries[0])
	if err != nil {
		return // the store cannot be read now
	}
	code := m.Code.Reveal()
	approvals := 0
	for k, typed := range []string{wrong(code), code, code} {
		other := l.nodes[(i+k)%len(l.nodes)]
		a, err := other.Check(t.Context(), other.live, verify.CheckRequest{ID: v.ID, Code: typed})
		l.outcomes.add("check " + outcome(err))
		if err == nil && a.Result == verify.ResultApproved {
			approvals++
			l.mu.Lock()
			l.approved = append(l.approved, v.ID)
			l.mu.Unlock()
		}
	}
	if approvals > 1 {
		t.Errorf("verification %d was approved %d times", i, approvals)
	}
}

// Outcomes returns how often each outcome came.
func (l *Load) Outcomes() map[string]int { return l.outcomes.n }

// Judge holds what was acknowledged against what a store has: every start with its job or its end, every approval.
func (l *Load) Judge(t *testing.T, s Store) {
	t.Helper()
	l.JudgeRows(t, s)
	depth, err := s.Depth(t.Context(), l.nodes[0].clock.Now().Add(time.Hour))
	if err != nil || depth.Open < len(l.started) {
		t.Errorf("%d jobs for %d acknowledged starts, %v", depth.Open, len(l.started), err)
	}
}

// JudgeRows is Judge for a store whose jobs have been run.
func (l *Load) JudgeRows(t *testing.T, s Store) {
	t.Helper()
	for _, v := range l.started {
		if found, err := s.Find(t.Context(), v); err != nil || found == nil {
			t.Errorf("an acknowledged start is lost: %v", err)
		}
	}
	for _, v := range l.approved {
		if found, err := s.Find(t.Context(), v); err != nil || found == nil || found.Status != verify.Approved ||
			found.Attempts > 2 {
			t.Errorf("an acknowledged approval is lost: %+v, %v", found, err)
		}
	}
}
