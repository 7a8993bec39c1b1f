package deliver_test

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
)

// typing are the codes that people are about to type, the next one first.
type typing []typed

type typed struct {
	at           time.Time
	verification id.ID
}

func (t typing) Len() int           { return len(t) }
func (t typing) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t typing) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }

// Push implements heap.Interface.
func (t *typing) Push(x any) { *t = append(*t, x.(typed)) }

// Pop implements heap.Interface.
func (t *typing) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	*t = (*t)[:last]
	return x
}

// market is a prefix with two routes, one of which has its codes typed 70 % of the time and the other 30 %, by people
// who take four seconds and then some.
type market struct {
	now    time.Time
	routes *deliver.Routes
	people *rand.Rand
	ids    *id.Source
	good   string
	typing typing
}

func newMarket(seed uint64) *market {
	m := &market{
		now:    time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC),
		routes: deliver.NewRoutes(nil),
		people: rand.New(rand.NewPCG(seed, 1)),
		ids:    id.NewSource(id.ID{}),
		good:   "b",
	}
	m.routes.Conversions = deliver.NewConversions(func() time.Time { return m.now }, seed)
	m.routes.Replace([]*deliver.Route{{Name: "a", Sender: &carrier{}}, {Name: "b", Sender: &carrier{}}},
		deliver.Converting)
	return m
}

// send sends n messages, one each gap, and answers how many took the better route.
func (m *market) send(t *testing.T, n int, gap time.Duration) (better int) {
	to := person(t)
	for range n {
		m.now = m.now.Add(gap)
		for len(m.typing) > 0 && !m.typing[0].at.After(m.now) {
			m.routes.Conversions.Typed(heap.Pop(&m.typing).(typed).verification)
		}
		route, _, _ := m.routes.Plan(to, channel.SMS, false, "")
		v, chance := m.ids.New(m.now), 0.3
		m.routes.Conversions.Sent(v, route, to)
		if route == m.good {
			chance = 0.7
			better++
		}
		if m.people.Float64() < chance {
			takes := time.Duration((4 + 8*m.people.ExpFloat64()) * float64(time.Second))
			heap.Push(&m.typing, typed{m.now.Add(takes), v})
		}
	}
	return better
}

// TestConvertingAtAnyPace: the better route is found among few messages a minute and among many a second, although what
// becomes of a message is known only after a while; and so is a swap.
func TestConvertingAtAnyPace(t *testing.T) {
	t.Parallel()
	for _, gap := range []time.Duration{10 * time.Second, time.Second, 25 * time.Millisecond} {
		var found, swapped int
		const seeds, sends = 3, 500
		for seed := range uint64(seeds) {
			m := newMarket(seed)
			m.send(t, max(500, int(2*time.Minute/gap)), gap)
			found += m.send(t, sends, gap)
			m.good = "a"
			m.send(t, max(700, int(3*time.Minute/gap)), gap)
			swapped += m.send(t, sends, gap)
		}
		t.Logf("one each %s: %d %% took the better route, %d %% after the swap", gap, found*100/seeds/sends,
			swapped*100/seeds/sends)
		if found < seeds*sends*9/10 || swapped < seeds*sends*9/10 {
			t.Errorf("one each %s: %d of %d took the better route, %d after the swap", gap, found, seeds*sends, swapped)
		}
	}
}
