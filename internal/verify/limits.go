package verify

import (
	"net/netip"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/limit"
)

// Limits are the deployment's velocity limits.
type Limits struct {
	// Sends per number.
	Sends limit.Schedule
	// Wrong codes per number, and the number of them in a row that locks it.
	Wrong     limit.Rate
	MaxStreak int
	LockFor   time.Duration
	// Client limits sends per client address (/32 for IPv4, /64 for IPv6).
	Client []limit.Rate
}

// DefaultLimits are the published defaults: 1 send in 30 s, then 60, 120, 300; 5 in an hour, 10 in a day;
// 15 wrong codes a day and 100 without a success (NIST SP 800-63B-4 §3.2.2); 10 an hour and 30 a day per client.
func DefaultLimits() Limits {
	return Limits{
		Sends: limit.Schedule{
			Gaps: []time.Duration{30 * time.Second, 60 * time.Second, 120 * time.Second, 300 * time.Second},
			Windows: []limit.Window{
				{Name: "number_hour", Max: 5, Span: time.Hour},
				{Name: "number_day", Max: 10, Span: 24 * time.Hour},
			},
			Forget: time.Hour,
		},
		Wrong:     limit.Rate{Name: "number_wrong_day", Burst: 15, Period: 24 * time.Hour},
		MaxStreak: 100,
		LockFor:   24 * time.Hour,
		Client: []limit.Rate{
			{Name: "client_hour", Burst: 10, Period: time.Hour},
			{Name: "client_day", Burst: 30, Period: 24 * time.Hour},
		},
	}
}

type keyedRate struct {
	key  [16]byte
	rate limit.Rate
}

type takenRate struct {
	key [16]byte
	tat int64
}

// take takes one of each rate, or none.
func take(tx Tx, rates []keyedRate, now time.Time) ([]takenRate, error) {
	var out []takenRate
	for _, k := range rates {
		tat, err := tx.Limit(k.key)
		if err != nil {
			return nil, err
		}
		next, retry, ok := k.rate.Take(tat, now)
		if !ok {
			return nil,
				limited(CodeLimited, &limit.Refusal{Name: k.rate.Name, Limit: k.rate.Burst, Window: k.rate.Period, Retry: retry})
		}
		out = append(out, takenRate{k.key, next})
	}
	return out, nil
}

// rates returns the limits beside the number's own that a start takes.
func (s *Service) rates(c application.Caller, client *Client) []keyedRate {
	var out []keyedRate
	if r := c.App.Policy.Rate(); r.Burst > 0 {
		out = append(out, keyedRate{s.Ring.Lookup([]byte("app"), c.App.ID[:], []byte(r.Name)), r})
	}
	if client == nil || client.IP == "" {
		return out
	}
	addr, err := netip.ParseAddr(client.IP)
	if err != nil {
		return out
	}
	net := ClientNet(addr)
	for _, r := range s.Limits.Client {
		out = append(out, keyedRate{s.Ring.Lookup([]byte("client"), c.App.ID[:], []byte(net.String()), []byte(r.Name)), r})
	}
	return out
}

// ClientNet returns the network that counts as one client: an IPv4 address, or an IPv6 /64, which is what
// one customer is given.
func ClientNet(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// forgive resets the gaps when the newest verification of the number was approved: its owner is there.
// Looking back here spares every approval a write.
func forgive(tx Tx, n *Number) error {
	if n.Head.IsZero() || n.Sends.Step == 0 {
		return nil
	}
	v, err := tx.Verification(n.Head)
	if err == nil && v != nil && v.Status == Approved {
		n.Sends = n.Sends.Reset()
	}
	return err
}

// locked returns why no code of this number may be compared, or nil.
func (s *Service) locked(n *Number, now time.Time) *limit.Refusal {
	if _, retry, ok := s.Limits.Wrong.Take(n.Wrong, now); !ok {
		return &limit.Refusal{
			Name:   s.Limits.Wrong.Name,
			Limit:  s.Limits.Wrong.Burst,
			Window: s.Limits.Wrong.Period,
			Retry:  retry,
		}
	}
	until := time.UnixMilli(n.Last).Add(s.Limits.LockFor).UTC()
	if s.Limits.MaxStreak > 0 && n.Streak >= s.Limits.MaxStreak && now.Before(until) {
		return &limit.Refusal{Name: "number_wrong_streak", Limit: s.Limits.MaxStreak, Window: s.Limits.LockFor, Retry: until}
	}
	return nil
}

// refused counts the refusal of a limit on its way out.
func (s *Service) refused(err error) error {
	if e, ok := err.(*Error); ok && e.Refusal != nil { //nolint:errorlint // our own error, never wrapped by the store
		s.Metrics.Limited(e.Refusal.Name)
	}
	return err
}

func busy(now time.Time) *Error {
	return &Error{Code: CodeBusy, Detail: "too much work is waiting: try again", Retry: now.Add(time.Second)}
}
