package deliver

import (
	"cmp"
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
	// Quiet routes are configured but not used.
	Quiet      bool
	Timeout    time.Duration
	Rate       *rate.Limiter // nil: no limit
	Slots      chan struct{} // one for each call at once
	Regulatory map[string]string
}

// serves tells whether the route can carry a message.
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
	return len(r.Prefixes) == 0 || slices.ContainsFunc(r.Prefixes, func(p string) bool { return strings.HasPrefix(to.E164(), p) })
}

// sender answers the sender ID for a country.
func (r *Route) sender(country string) string { return cmp.Or(r.FromBy[country], r.From) }

// Routes is the set of ways out. It can be replaced while messages are under way.
type Routes struct{ current atomic.Pointer[[]*Route] }

// NewRoutes answers a set.
func NewRoutes(routes []*Route) *Routes {
	s := &Routes{}
	s.Replace(routes)
	return s
}

// Replace puts other routes in place. Messages that are being sent end on the old ones.
func (s *Routes) Replace(routes []*Route) {
	sorted := slices.Clone(routes)
	slices.SortStableFunc(sorted, func(a, b *Route) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight))
	})
	s.current.Store(&sorted)
}

// All answers the routes in the order in which they are tried.
func (s *Routes) All() []*Route { return *s.current.Load() }

// Named answers the route of that name, or nil.
func (s *Routes) Named(name string) *Route {
	for _, r := range s.All() {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// candidates answers the routes that serve the number, best first.
func (s *Routes) candidates(to phone.Number, kind channel.Kind, test bool) []*Route {
	var out []*Route
	for _, r := range s.All() {
		if r.serves(to, kind, test) {
			out = append(out, r)
		}
	}
	return out
}

// Plan implements verify.Router.
func (s *Routes) Plan(to phone.Number, kind channel.Kind, test bool) (route, reason string, ok bool) {
	for _, r := range s.All() {
		if r.serves(to, kind, test) {
			return r.Name, "priority", true
		}
	}
	return "", "", false
}
