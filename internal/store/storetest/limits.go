package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/verify"
)

// sendLimits walks through the gaps, the hour and the day.
func sendLimits(t *testing.T, open Open) {
	b := newBench(t, open)
	try := func() error {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100)})
		return err
	}
	for i, gap := range []time.Duration{30, 60, 120, 300} {
		want(t, try(), "ok")
		b.clock.Advance(gap*time.Second - time.Millisecond)
		err := try()
		want(t, err, "rate_limited number_gap")
		if e, ok := errors.AsType[*verify.Error](err); !ok || e.Retry.Sub(b.clock.Now()) != time.Millisecond {
			t.Errorf("gap %d: come back %v", i, e)
		}
		b.clock.Advance(time.Millisecond)
	}
	want(t, try(), "ok") // the fifth
	b.clock.Advance(10 * time.Minute)
	want(t, try(), "rate_limited number_hour")
	b.clock.Advance(41*time.Minute + 30*time.Second - time.Millisecond)
	want(t, try(), "rate_limited number_hour")
	b.clock.Advance(time.Millisecond)
	want(t, try(), "ok") // an hour after the first
	for range 4 {
		b.clock.Advance(time.Hour + time.Second)
		want(t, try(), "ok")
	}
	b.clock.Advance(2 * time.Hour)
	want(t, try(), "rate_limited number_day")
	_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(101)})
	want(t, err, "ok") // another number is free
}

func wrongLock(t *testing.T, open Open) {
	b := newBench(t, open)
	for round := range 3 {
		v := b.start(t, verify.StartRequest{To: drama(100)})
		code := b.code(t, v)
		for range 5 {
			b.check(t, v, wrong(code))
		}
		b.clock.Advance(time.Duration(round+1) * 2 * time.Minute)
	}
	_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100)})
	want(t, err, "number_locked number_wrong_day")
	b.clock.Advance(24 * time.Hour)
	_, err = b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100)})
	want(t, err, "ok")
}

// streakLock spends wrong codes slowly, so that only the count in a row stops them.
func streakLock(t *testing.T, open Open) {
	b := newBench(t, open)
	compared := 0
	for range 60 {
		v, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100)})
		if err != nil {
			want(t, err, "number_locked number_wrong_streak")
			break
		}
		code := b.code(t, v)
		for range 5 {
			if b.check(t, v, wrong(code)); compared < 200 {
				compared++
			}
		}
		b.clock.Advance(9 * time.Hour)
	}
	if compared != 100 {
		t.Errorf("%d wrong codes were compared, want 100", compared)
	}
	b.clock.Advance(24 * time.Hour)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	if r := b.check(t, v, b.code(t, v)); r != verify.ResultApproved {
		t.Errorf("after the lock: %s", r)
	}
	v2 := b.start(t, verify.StartRequest{To: drama(100), Purpose: "again"})
	if r := b.check(t, v2, wrong(b.code(t, v2))); r != verify.ResultIncorrect {
		t.Errorf("the success did not reset the count: %s", r)
	}
}

func clientLimit(t *testing.T, open Open) {
	b := newBench(t, open)
	try := func(n int, ip string) error {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(n), Client: &verify.Client{IP: ip}})
		return err
	}
	for i := range 10 {
		want(t, try(100+i, "2001:db8:1:2::1"), "ok")
	}
	want(t, try(110, "2001:db8:1:2:ffff::9"), "rate_limited client_hour") // the same /64
	want(t, try(111, "2001:db8:1:3::1"), "ok")
	want(t, try(112, "203.0.113.7"), "ok")
	want(t, try(113, "::ffff:203.0.113.8"), "ok")
	want(t, try(114, "no address"), "invalid_request client.ip invalid_value")
}

func appLimit(t *testing.T, open Open) {
	b := newBench(t, open, func(p *application.Policy) { p.StartsPerHour = 3 })
	var got tally
	together(10, func(i int) {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100 + i)})
		got.add(outcome(err))
	})
	got.want(t, map[string]int{"ok": 3, "rate_limited application_hour": 7})
}

// refusedIsFree takes a client's last start with a number that is refused: nothing may have been taken.
func refusedIsFree(t *testing.T, open Open) {
	b := newBench(t, open)
	client := &verify.Client{IP: "203.0.113.7"}
	for i := range 9 {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100 + i), Client: client})
		want(t, err, "ok")
	}
	for range 5 {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100), Client: client})
		want(t, err, "rate_limited number_gap")
	}
	_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(120), Client: client})
	want(t, err, "ok")
	if b.sent() != 10 {
		t.Errorf("%d messages, want 10", b.sent())
	}
}
