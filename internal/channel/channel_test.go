package channel_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
)

// TestAdvance is the whole table of the delivery's machine.
func TestAdvance(t *testing.T) {
	t.Parallel()
	all := []channel.Status{
		channel.Queued, channel.Sending, channel.Unknown, channel.Taken, channel.Sent, channel.Delivered, channel.Undelivered,
		channel.Failed,
	}
	final := map[channel.Status]bool{channel.Delivered: true, channel.Undelivered: true, channel.Failed: true}
	for i, from := range all {
		if from.Final() != final[from] {
			t.Errorf("%s final: %v", from, from.Final())
		}
		for j, news := range all {
			want := from
			if j > i && !final[from] {
				want = news
			}
			if got, changed := from.Advance(news); got != want || changed != (want != from) {
				t.Errorf("%s and then %s: %s, %v, want %s", from, news, got, changed, want)
			}
		}
	}
	if got, changed := channel.Sent.Advance("nonsense"); changed || got != channel.Sent {
		t.Errorf("nonsense made it %s", got)
	}
}

func TestStatusError(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for status := 100; status < 600; status++ {
		want := channel.MaybeSent
		switch {
		case status == 429:
			want = channel.Throttled
		case status >= 500:
			want = channel.Unavailable
		case status >= 400:
			want = channel.Refused
		}
		if e := channel.StatusError("x", channel.Answer{Status: status}, now); e.Kind != want || e.Detail == "" {
			t.Errorf("%d: %v, want %s", status, e, want)
		}
	}
	for header, want := range map[string]time.Duration{
		"": 0, "30": 30 * time.Second, "-1": 0, "x": 0, "9999999": 24 * time.Hour, "Mon, 23 Nov 2026 08:01:00 " +
			"GMT": time.Minute, "Mon, 23 Nov 2020 08:01:00 GMT": 0,
	} {
		a := channel.Answer{Status: 429, Header: http.Header{"Retry-After": {header}}}
		if got := channel.StatusError("x", a, now).RetryAfter; got != want {
			t.Errorf("Retry-After %q: %s, want %s", header, got, want)
		}
	}
}

func TestAsError(t *testing.T) {
	t.Parallel()
	cause := errors.New("the secret is hunter2")
	e := channel.AsError("x", cause)
	if e.Kind != channel.MaybeSent || !errors.Is(e, cause) ||
		e.Error() != "x: internal: the provider failed in an unforeseen way (unknown)" {
		t.Errorf("%v", e)
	}
	own := &channel.Error{Kind: channel.Rejected, Provider: "y"}
	if channel.AsError("x", own) != own {
		t.Error("an error of ours was changed")
	}
}
