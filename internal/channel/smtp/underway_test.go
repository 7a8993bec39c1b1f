package smtp

import (
	"slices"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
)

// TestUnderWay puts the provider under the real handler, beside a route that takes everything: what surely did not
// leave goes there, what may have left does not, and the record says what happened.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	const first, second = delivertest.First + " ", delivertest.Second + " "
	for name, c := range map[string]struct {
		step, answer string
		want         []string
		code         string
	}{
		"it is taken":             {"", "", []string{first + "accepted"}, ""},
		"no such address":         {"rcpt", "550 5.1.1 no", []string{first + "failed"}, "550 5.1.1"},
		"greylisted":              {"rcpt", "450 4.7.1 later", []string{first + "failed", second + "accepted"}, "450 4.7.1"},
		"the rules":               {"end", "550 5.7.1 spam", []string{first + "failed", second + "accepted"}, "550 5.7.1"},
		"a wrong password":        {"auth", "535 5.7.8 no", []string{first + "failed", second + "accepted"}, "535 5.7.8"},
		"it hangs before the end": {"rcpt", hangs, []string{first + "failed", second + "accepted"}, "rcpt"},
		"it hangs up at the end":  {"end", hangsUp, []string{first + "unknown"}, "end"},
		"it hangs at the end":     {"end", hangs, []string{first + "unknown"}, "end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ca := newServer(t, func(s *server) {
				if c.step != "" {
					s.answers[c.step] = c.answer
				}
			})
			trial, err := delivertest.New(open(t, settings(s.port(), ca)), channeltest.Message(channel.Email), time.Second,
				false)
			if err != nil {
				t.Fatal(err)
			}
			if err := trial.Send(t.Context()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range trial.Deliveries() {
				got = append(got, d.Route+" "+string(d.Status))
			}
			if d := trial.Deliveries()[0]; !slices.Equal(got, c.want) || d.Code != c.code {
				t.Errorf("the record says %v with %q, want %v with %q", got, d.Code, c.want, c.code)
			}
			mails := len(s.received()) + trial.Other.Calls()
			// refused at the end, it did come in here
			if want := map[bool]int{true: 2, false: 1}[name == "the rules"]; name != "no such address" && mails != want {
				t.Errorf("%d mails, want %d", mails, want)
			}
		})
	}
}
