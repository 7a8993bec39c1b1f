package deliver

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/phone"
)

// Route is one configured way out.
type Route struct {
	Name     string
	Provider string
	Sender   channel.Sender
	// Channels are those the route serves; empty means all of the sender's.
	Channels []channel.Kind
	// Countries (ISO 3166) and Prefixes (E.164 beginnings) limit the numbers served; empty means all.
	Countries []string
	Prefixes  []string
	// From is the sender ID; FromBy overrides it by country.
	From   string
	FromBy map[string]string
	// Priority orders routes, lowest first; Weight orders those of equal priority, highest first.
	Priority int
	Weight   int
	// Test routes reach nobody: they serve test keys, and only them. Both serves both (development).
	Test, Both bool
	// Spare routes serve only what no other route serves, well or not.
	Spare bool
	// Quiet routes are configured but not used.
	Quiet      bool
	Timeout    time.Duration
	Rate       *rate.Limiter // nil: no limit
	Slots      chan struct{} // one for each call at once
	Regulatory map[string]string
	// Registered are the texts that a registry has approved for SMS.
	Registered []Registered
	// Price is what one message costs by country ("*": all others), in hundred-millionths of a currency unit.
	Price map[string]int64
	// Health watches the calls; nil: the route always counts as well.
	Health *Health
}

// price returns what a message to a country costs. A route that does not say counts as dearer than any that does.
func (r *Route) price(country string) int64 {
	if p, ok := r.Price[country]; ok {
		return p
	}
	if p, ok := r.Price["*"]; ok {
		return p
	}
	return unpriced
}

// unpriced is the price of what no list names.
const unpriced = math.MaxInt64

// decimal writes hundred-millionths as a decimal number.
func decimal(n int64) string {
	const unit = 100_000_000
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%08d", n/unit, n%unit), "0"), ".")
}

// serves reports whether the route can carry a message.
func (r *Route) serves(to phone.Number, kind channel.Kind, test bool) bool {
	if r.Quiet || (r.Test != test && !r.Both) {
		return false
	}
	kinds := r.Channels
	if len(kinds) == 0 {
		kinds = r.Sender.Channels()
	}
	if !slices.Contains(kinds, kind) {
		return false
	}
	if len(r.Countries) > 0 && !slices.Contains(r.Countries, to.Country()) {
		return false
	}
	return len(r.Prefixes) == 0 ||
		slices.ContainsFunc(r.Prefixes, func(p string) bool { return strings.HasPrefix(to.E164(), p) })
}

// asked returns a query as the health of the route knows it: its sender is the sender ID with whose it is.
func (r *Route) asked(q query) query {
	if q.sender != "" {
		q.sender = r.sender(q.to.Country()) + "\x00" + q.sender
	}
	return q
}

// sender returns the sender ID for a country.
func (r *Route) sender(country string) string { return cmp.Or(r.FromBy[country], r.From) }

// Routes is the set of ways out. It can be replaced while messages are under way.
type Routes struct {
	current atomic.Pointer[plan]
	// Conversions are what the policy Converting chooses by; nil: nothing is known and Priority holds.
	Conversions *Conversions
}

// plan is the routes in their order of priority, and how to choose among them.
type plan struct {
	routes []*Route
	policy Policy
}

// NewRoutes returns a set that chooses by priority.
func NewRoutes(routes []*Route) *Routes {
	s := &Routes{}
	s.Replace(routes, Priority)
	return s
}

// Replace puts other routes in place. Messages that are being sent end on the old ones.
func (s *Routes) Replace(routes []*Route, policy Policy) {
	sorted := slices.Clone(routes)
	slices.SortStableFunc(sorted, func(a, b *Route) int {
		return cmp.Or(spare(a)-spare(b), cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight))
	})
	s.current.Store(&plan{sorted, policy})
}

// spare returns 1 for routes that come after all others.
func spare(r *Route) int {
	if r.Spare {
		return 1
	}
	return 0
}

// All returns the routes in the order of their priority.
func (s *Routes) All() []*Route { return s.current.Load().routes }

// Named returns the route of that name, or nil.
func (s *Routes) Named(name string) *Route {
	for _, r := range s.All() {
		if r.Name == name {
			return r
		}
	}
	return nil
}
