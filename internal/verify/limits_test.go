package verify_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestSendLimits walks one number through the published gaps, the hour and the day.
func TestSendLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	try := func() string { return w.tryStart(t, verify.StartRequest{To: drama(100)}) }
	for _, gap := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute} {
		want(t, "start", try(), "ok")
		w.advance(gap - time.Millisecond)
		_, err := w.Start(t.Context(), w.live, verify.StartRequest{To: drama(100)})
		want(t, "just before the end of the gap", outcome(err), "rate_limited number_gap")
		if e, ok := errors.AsType[*verify.Error](err); !ok || !e.Retry.Equal(w.Clock().Add(time.Millisecond)) ||
			e.Refusal.Window != gap {
			t.Errorf("gap %s: %+v", gap, err)
		}
		w.advance(time.Millisecond)
	}
	want(t, "the fifth", try(), "ok")
	w.now.Store(epoch.Add(time.Hour - time.Millisecond).UnixNano())
	want(t, "the sixth within the hour", try(), "rate_limited number_hour")
	w.advance(time.Millisecond)
	want(t, "an hour after the first", try(), "ok")
	for range 4 {
		w.advance(time.Hour + time.Second)
		want(t, "start", try(), "ok")
	}
	w.advance(2 * time.Hour)
	want(t, "the eleventh of the day", try(), "rate_limited number_day")
	want(t, "another number", w.tryStart(t, verify.StartRequest{To: drama(101)}), "ok")
	want(t, "counted", w.counts["limited number_gap"], 4)
}

// TestApprovalsForgiveGaps: who has shown that the number is theirs begins with the shortest gap again; the windows
// stay.
func TestApprovalsForgiveGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	try := func() string { return w.tryStart(t, verify.StartRequest{To: drama(100)}) }
	v := w.start(t, verify.StartRequest{To: drama(100)})
	want(t, "in the gap", try(), "rate_limited number_gap")
	w.check(t, v, w.code(t, v))
	for range 4 {
		v = w.start(t, verify.StartRequest{To: drama(100)})
		want(t, "right", w.check(t, v, w.code(t, v)), "approved")
	}
	want(t, "the sixth within the hour", try(), "rate_limited number_hour")
	w = newWorld(t)
	w.cancel(t, w.start(t, verify.StartRequest{To: drama(100)}))
	want(t, "after a cancel", w.tryStart(t, verify.StartRequest{To: drama(100)}), "rate_limited number_gap")
}

// TestClientLimits: starts are limited per network of the person, an IPv4 address or an IPv6 /64.
func TestClientLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ first, second, want string }{
		{"203.0.113.7", "203.0.113.7", "rate_limited client_hour"},
		{"203.0.113.7", "203.0.113.8", "ok"},
		{"203.0.113.7", "::ffff:203.0.113.7", "rate_limited client_hour"},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "rate_limited client_hour"},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", "ok"},
		{"fe80::1%eth0", "fe80::2%eth1", "rate_limited client_hour"},
		{"203.0.113.7", "", "ok"},
	} {
		w := newWorld(t)
		for i := range 10 {
			want(t, "start", w.tryStart(t, verify.StartRequest{To: drama(100 + i), Client: &verify.Client{IP: c.first}}), "ok")
		}
		client := &verify.Client{IP: c.second}
		want(t, c.second, w.tryStart(t, verify.StartRequest{To: drama(110), Client: client}), c.want)
		_, err := w.Start(t.Context(), w.tenant("other"), verify.StartRequest{To: drama(110), Client: client})
		want(t, "of another application", outcome(err), "ok")
		w.advance(6 * time.Minute)
		want(t, "six minutes later", w.tryStart(t, verify.StartRequest{To: drama(111), Client: client}), "ok")
	}
	want(t, "network", verify.ClientNet(netip.MustParseAddr("2001:db8:1:2::1")).String(), "2001:db8:1:2::/64")
	want(t, "network", verify.ClientNet(netip.MustParseAddr("203.0.113.7")).String(), "203.0.113.7/32")
}

// TestEachLimitIsKept: of several limits that a start takes, each one is kept, whichever is used up first.
func TestEachLimitIsKept(t *testing.T) {
	t.Parallel()
	link := func(w *world) func(*verify.StartRequest) {
		l := w.ids.New(epoch)
		return func(r *verify.StartRequest) { r.Link = l }
	}
	for _, c := range []struct {
		name  string
		limit func(*world) func(*verify.StartRequest)
		most  int
		every time.Duration
	}{
		{"link", link, 5, time.Second},
		{"application_hour", func(w *world) func(*verify.StartRequest) { w.live.App.Policy.StartsPerHour = 4; return nil },
			4, time.Second},
		{"client_hour", func(w *world) func(*verify.StartRequest) { w.Limits.Client[0].Burst = 3; return nil }, 3,
			time.Second},
		{"client_day", func(w *world) func(*verify.StartRequest) { w.Limits.Client[1].Burst = 3; return nil }, 3,
			time.Second},
		{"email_hour", nil, 5, time.Second},
		{"email_day", nil, 11, 15 * time.Minute}, // 10, and one that the time gives back
	} {
		w := newWorld(t)
		w.Limits.Client = []limit.Rate{
			{Name: "client_hour", Burst: 500, Period: time.Hour},
			{Name: "client_day", Burst: 500, Period: 24 * time.Hour},
		}
		w.live.App.Policy.StartsPerHour = 500
		change := func(*verify.StartRequest) {}
		if c.limit != nil {
			if f := c.limit(w); f != nil {
				change = f
			}
		}
		got, passed := "ok", 0
		for ; got == "ok" && passed < 50; passed++ {
			r := verify.StartRequest{
				To:     drama(100 + passed),
				Client: &verify.Client{IP: "203.0.113.7"},
				Email:  "person@example.com",
			}
			change(&r)
			got = w.tryStart(t, r)
			w.advance(c.every)
		}
		want(t, c.name, fmt.Sprintf("%s after %d", got, passed-1), fmt.Sprintf("rate_limited %s after %d", c.name, c.most))
	}
}

// TestRefusalsAreFree: a start that one limit refuses takes nothing of the others.
func TestRefusalsAreFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(p *application.Policy) { p.StartsPerHour = 10 })
	request := func(n int) verify.StartRequest {
		return verify.StartRequest{To: drama(n), Client: &verify.Client{IP: "203.0.113.7"}}
	}
	for i := range 9 {
		want(t, "start", w.tryStart(t, request(100+i)), "ok")
	}
	for range 5 {
		want(t, "in the gap", w.tryStart(t, request(100)), "rate_limited number_gap")
	}
	want(t, "the tenth", w.tryStart(t, request(120)), "ok")
	want(t, "the eleventh", w.tryStart(t, request(121)), "rate_limited application_hour")
	want(t, "messages", len(w.jobs), 10)
	want(t, "reservations", w.reserved, 0)
	// What the application's limit has refused did not take the number's.
	w.live.App.Policy.StartsPerHour = 0
	want(t, "the number", w.tryStart(t, verify.StartRequest{To: drama(121)}), "ok")
}

// TestMailLimits: many numbers do not fill one mailbox, however its address is written.
func TestMailLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, address := range []string{"person@example.com", "PERSON@example.com", "Person@EXAMPLE.COM",
		"person@example.com", "person@Example.com"} {
		want(t, "start", w.tryStart(t, verify.StartRequest{To: drama(100 + i), Channel: channel.Email, Email: address}), "ok")
	}
	want(t, "the sixth",
		w.tryStart(t, verify.StartRequest{To: drama(110), Channel: channel.Email, Email: "pErson@example.com"}),
		"rate_limited email_hour")
	want(t, "another address",
		w.tryStart(t, verify.StartRequest{To: drama(110), Channel: channel.Email, Email: "other@example.com"}), "ok")
	w.advance(12 * time.Minute)
	want(t, "twelve minutes later",
		w.tryStart(t, verify.StartRequest{To: drama(111), Channel: channel.Email, Email: "person@example.com"}), "ok")
}
