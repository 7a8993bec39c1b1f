package deliver

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/phone"
)

// What Conversions remember.
const (
	// matureAfter is how long a code may take to be typed; later it counts as not typed. Both verdicts wait for it: if
	// those that are typed counted at once, every route would look perfect for as long, and under load nothing would be
	// learned.
	matureAfter = 45 * time.Second
	// maxPending bounds the sends whose fate is not known; the oldest ones are forgotten without a verdict. A busy node
	// remembers one of several, so that none is forgotten: some 180 verdicts a second are enough to learn from.
	maxPending = 1 << 14
	// maxArms bounds the pairs of route and prefix.
	maxArms = 1 << 14
	// memory is what the past of a route counts after each verdict on it: about its last 100 verdicts matter, so that a
	// change is noticed. The others on the prefix fade slowly, so that each is tried again now and then.
	memory = 0.99
	fading = 0.9995
)

// Conversions count which routes' codes really get typed, per route and prefix. They live in the memory of one node:
// what a node has not seen it learns again within some dozens of sends.
type Conversions struct {
	now func() time.Time

	mu      sync.Mutex
	random  *rand.Rand
	routes  []string // that were ever sent over: they are named by the configuration, so they are few
	queue   []trial  // by time
	first   int      // how many left the queue before its first
	pending map[id.ID]int
	pace    pace
	arms    map[prefix]map[string]*arm
	size    int
	trends  map[string]*trend // by route
}

// trial is a send whose fate is not known. Under load there are tens of thousands, so they hold no pointer for the
// collector of garbage to follow.
type trial struct {
	verification id.ID
	at           int64 // Unix nanoseconds
	route        int32 // its place among the routes
	prefix       prefix
	typed, over  bool
}

// pace counts sends by the second, and says of how many one is remembered.
type pace struct {
	second int64
	sends  int
	each   uint8 // less one: a mask of bits of the id
}

// maxEach is the most of which one is remembered, less one.
const maxEach = 1<<7 - 1

// takes reports whether a send is remembered. Ids end in random bits: a verification that is sent again is taken again.
func (p *pace) takes(v id.ID, now time.Time) bool {
	if s := now.Unix(); s != p.second {
		p.each = 0
		for usual := int64(p.sends) * int64(matureAfter/time.Second) / max(s-p.second, 1); usual > maxPending/2 &&
			p.each < maxEach; usual /= 2 {
			p.each = 2*p.each + 1
		}
		p.second, p.sends = s, 0
	}
	p.sends++
	return v[len(v)-1]&p.each == 0
}

// prefix is the beginning of a number that is counted together: country code and about one operator.
type prefix [7]byte

func prefixOf(to phone.Number) (p prefix) {
	var space [16]byte
	copy(p[:], to.AppendE164(space[:0]))
	return p
}

// String returns "+491511".
func (p prefix) String() string { return string(bytes.TrimRight(p[:], "\x00")) }

// arm is what is known of a route on a prefix: verdicts, fading.
type arm struct{ typed, lost float64 }

// trend is how the codes of one route get typed over all numbers: of late, and as a rule.
type trend struct {
	n          int
	late, rule float64
	trial      time.Time // when the route, having fallen, is tried again
}

// When the conversion of a route counts as fallen: what is typed of late (about 20 sends) is under a third of the rule
// (about 400).
const (
	trendLate  = 20
	trendRule  = 400
	trendLeast = 50 // sends before there is a rule
	fallenTo   = 0.3
	trialEach  = 10 * time.Second
)

// add takes one verdict in.
func (t *trend) add(typed bool) {
	x := 0.0
	if typed {
		x = 1
	}
	t.n++
	t.late += (x - t.late) / float64(min(t.n, trendLate))
	if !t.fallen() {
		t.rule += (x - t.rule) / float64(min(t.n, trendRule))
	}
}

func (t *trend) fallen() bool { return t.n > trendLeast && t.late < fallenTo*t.rule }

// fallen reports whether the codes of a route have ceased to be typed, and it is not yet time to try it again.
func (c *Conversions) fallen(route string) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.mature()
	t := c.trends[route]
	if t == nil || !t.fallen() {
		return false
	}
	if now.Before(t.trial) {
		return true
	}
	t.trial = now.Add(trialEach)
	return false
}

// trouble returns why a route is not well as far as codes tell; empty when it is.
func (c *Conversions) trouble(route string) string {
	if c == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mature()
	if t := c.trends[route]; t != nil && t.fallen() {
		return unTyped
	}
	return ""
}

// unTyped is why a route is not well whose codes are not typed.
const unTyped = "codes are not typed"

// NewConversions returns an empty record. The same seed and events give the same samples.
func NewConversions(now func() time.Time, seed uint64) *Conversions {
	return &Conversions{
		now:     now,
		random:  rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // no secret is made of it
		pending: map[id.ID]int{},
		arms:    map[prefix]map[string]*arm{},
		trends:  map[string]*trend{},
	}
}

// Sent notes that a route took the message of a verification. One that was sent before and not typed has been lost.
func (c *Conversions) Sent(verification id.ID, route string, to phone.Number) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.mature()
	if place, again := c.pending[verification]; again {
		before := &c.queue[place-c.first]
		before.over = true
		c.verdict(before)
	} else if !c.pace.takes(verification, now) {
		return
	}
	c.pending[verification] = c.first + len(c.queue)
	c.queue = append(c.queue,
		trial{verification: verification, at: now.UnixNano(), route: c.place(route), prefix: prefixOf(to)})
}

// place returns where a route stands among the routes.
func (c *Conversions) place(route string) int32 {
	i := slices.Index(c.routes, route)
	if i < 0 {
		i = len(c.routes)
		c.routes = append(c.routes, route)
	}
	return int32(i) // they are few
}

// Typed notes that the code of a verification was typed.
func (c *Conversions) Typed(verification id.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mature()
	if place, ok := c.pending[verification]; ok {
		c.queue[place-c.first].typed = true
	}
}

// mature gives the verdict on sends whose time is up, and answers the time.
func (c *Conversions) mature() (now time.Time) {
	now = c.now()
	ripe := now.Add(-matureAfter).UnixNano()
	for len(c.queue) > 0 {
		t := &c.queue[0]
		if t.at > ripe && len(c.queue) < maxPending {
			break
		}
		if !t.over { // else it was sent again since, and that send has its own place
			delete(c.pending, t.verification)
			if t.at <= ripe {
				c.verdict(t)
			}
		}
		c.queue = c.queue[1:]
		c.first++
	}
	return now
}

// verdict counts one send.
func (c *Conversions) verdict(t *trial) {
	route := c.routes[t.route]
	if c.trends[route] == nil {
		c.trends[route] = &trend{}
	}
	c.trends[route].add(t.typed)
	arms := c.arms[t.prefix]
	if arms == nil {
		if c.size >= maxArms {
			c.arms, c.size = map[prefix]map[string]*arm{}, 0 // bounded: what matters is learned again
		}
		arms = map[string]*arm{}
		c.arms[t.prefix] = arms
	}
	for name, a := range arms {
		keep := fading
		if name == route {
			keep = memory
		}
		a.typed *= keep
		a.lost *= keep
	}
	a := arms[route]
	if a == nil {
		a = &arm{}
		arms[route] = a
		c.size++
	}
	if t.typed {
		a.typed++
	} else {
		a.lost++
	}
}

// rate returns what is known of a route on a prefix: the share that was typed, and of how many.
func (c *Conversions) rate(route string, on prefix) (share, of float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.arms[on][route]
	if a == nil || a.typed+a.lost == 0 {
		return 0, 0
	}
	return a.typed / (a.typed + a.lost), a.typed + a.lost
}

// sample draws how well a route may convert on a prefix, from what is known (Thompson sampling with a Beta posterior
// and a uniform prior): routes that may be the best are tried as often as they may be the best.
func (c *Conversions) sample(route string, on prefix) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mature()
	typed, lost := 1.0, 1.0
	if a := c.arms[on][route]; a != nil {
		typed, lost = typed+a.typed, lost+a.lost
	}
	x, y := c.gamma(typed), c.gamma(lost)
	return x / (x + y)
}

// gamma draws from a Gamma distribution of a shape of at least 1 (Marsaglia and Tsang, 2000).
func (c *Conversions) gamma(shape float64) float64 {
	d := shape - 1.0/3
	k := 1 / math.Sqrt(9*d)
	for {
		x := c.random.NormFloat64()
		v := 1 + k*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-c.random.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
