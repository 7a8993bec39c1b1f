package delivertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

// These checks put the provider under the real handler of deliveries, beside a second route that takes everything,
// before a carrier that misbehaves: nothing is lost, nothing is doubled that could be avoided, and the record says what
// happened.

// Checks are all of them.
func Checks() []channeltest.Check {
	return []channeltest.Check{
		{Name: "every error decides what follows", Hold: errorsUnderWay},
		{Name: "the carrier asks for a pause", Hold: pauses},
		{Name: "the carrier is slow", Hold: slow},
		{Name: "the answer is lost", Hold: vanishes},
		{Name: "receipts before the answer, twice, out of order", Hold: early},
		{Name: "forged receipts", Hold: forged},
	}
}

// Run runs the checks.
func Run(t *testing.T, h channeltest.Harness) {
	t.Helper()
	for _, c := range Checks() {
		t.Run("under way: "+c.Name, func(t *testing.T) {
			t.Parallel()
			if err := c.Hold(t.Context(), h); err != nil {
				t.Error(err)
			}
		})
	}
}

// trial is a provider under the handler.
type trial struct {
	*Trial
	carrier *channeltest.Carrier
}

// try opens the provider before a carrier and sends its message, with callTime for the call.
func try(ctx context.Context, h channeltest.Harness, script channeltest.Script, alone bool) (*trial, error) {
	return tryFor(ctx, h, script, alone, callTime)
}

func tryFor(ctx context.Context, h channeltest.Harness, script channeltest.Script, alone bool,
	patience time.Duration) (*trial, error) {
	t, err := ready(h, script, alone, patience)
	if err != nil {
		return nil, err
	}
	if err := t.Send(ctx); err != nil {
		t.carrier.Close()
		return nil, fmt.Errorf("the attempt cannot be recorded: %w", err)
	}
	return t, nil
}

// How long a call of a trial may take. A carrier that hangs takes all of the short time; all others get more than a
// busy machine needs to answer.
const (
	shortTime = 500 * time.Millisecond
	callTime  = 20 * time.Second
)

func ready(h channeltest.Harness, script channeltest.Script, alone bool, patience time.Duration) (*trial, error) {
	sender, carrier, err := h.Open(script)
	if err != nil {
		return nil, err
	}
	t, err := New(sender, channeltest.Message(cmp.Or(h.Channel, channel.SMS)), patience, alone)
	if err != nil {
		carrier.Close()
		return nil, err
	}
	return &trial{t, carrier}, nil
}

// holds compares the record ("route status" of each delivery) and how many messages the second route took.
func (t *trial) holds(taken int, want ...string) error {
	var got []string
	for _, d := range t.Deliveries() {
		got = append(got, d.Route+" "+string(d.Status))
	}
	if !slices.Equal(got, want) || t.Other.Calls() != taken {
		return fmt.Errorf("the record says %v and the second route took %d, want %v and %d (%+v)", got, t.Other.Calls(), want,
			taken, t.Deliveries()[0])
	}
	return nil
}

const (
	first  = First + " "
	second = Second + " "
)

// after returns what follows a failed call of a kind: the record, and how many messages the second route takes.
func after(kind channel.ErrorKind) (taken int, want []string) {
	switch kind {
	case channel.Rejected:
		return 0, []string{first + "failed"}
	case channel.MaybeSent:
		return 0, []string{first + "unknown"}
	case channel.Refused, channel.Unavailable, channel.Throttled:
	}
	return 1, []string{first + "failed", second + "accepted"}
}

// errorsUnderWay lets the carrier answer with every row of errors.tsv, those that come with 200 as well.
func errorsUnderWay(ctx context.Context, h channeltest.Harness) error {
	bare := func(status int, body string, kind channel.ErrorKind) channeltest.Answered {
		return channeltest.Answered{
			Expected: channeltest.Expected{Where: "answer", Error: strconv.Itoa(status), Kind: kind, Code: "*"},
			Reply:    channeltest.Reply{Status: status, Body: body},
		}
	}
	rows, err := h.Answers()
	if err != nil {
		return err
	}
	for _, r := range []channeltest.Answered{
		bare(http.StatusInternalServerError, "", channel.Unavailable),
		bare(http.StatusServiceUnavailable, "<html>", channel.Unavailable),
		bare(http.StatusUnauthorized, "", channel.Refused),
	} {
		if !slices.Contains(h.OwnStatuses, r.Reply.Status) {
			rows = append(rows, r)
		}
	}
	var faults []error
	for _, row := range rows {
		if err := underWay(ctx, h, row); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", row, err))
		}
	}
	return errors.Join(faults...)
}

// underWay lets the carrier answer with one row.
func underWay(ctx context.Context, h channeltest.Harness, row channeltest.Answered) error {
	t, err := try(ctx, h, channeltest.Says(row.Reply), false)
	if err != nil {
		return err
	}
	defer t.carrier.Close()
	taken, want := after(row.Kind)
	if err := t.holds(taken, want...); err != nil {
		return err
	}
	if d := t.Deliveries()[0]; d.Kind != row.Kind || (row.Code != "*" && d.Code != row.Code) {
		return fmt.Errorf("the record says %s %q, want %s %q", d.Kind, d.Code, row.Kind, row.Code)
	}
	if n := len(t.carrier.Requests()); n != 1 {
		return fmt.Errorf("%d calls for one attempt", n)
	}
	return nil
}

// pauses lets the carrier ask for half a minute: another route takes the message at once, and without one it waits so
// long.
func pauses(ctx context.Context, h channeltest.Harness) error {
	if slices.Contains(h.OwnStatuses, http.StatusTooManyRequests) {
		return nil
	}
	says := channeltest.Says(channeltest.Reply{Status: http.StatusTooManyRequests,
		Header: map[string]string{"Retry-After": "30"}})
	t, err := try(ctx, h, says, false)
	if err != nil {
		return err
	}
	t.carrier.Close()
	if err := t.holds(1, first+"failed", second+"accepted"); err != nil {
		return err
	}
	if t, err = try(ctx, h, says, true); err != nil {
		return err
	}
	t.carrier.Close()
	if wait, ok := t.Waits(); !ok || wait != 30*time.Second {
		return fmt.Errorf("the carrier asked for 30 s, and the message waits %s (%t)", wait, ok)
	}
	return t.holds(0, first+"queued")
}

// vanishes lets the answer be lost in every way after the carrier has the message: it is not sent again, and a receipt
// tells the rest.
func vanishes(ctx context.Context, h channeltest.Harness) error {
	for name, script := range map[string]channeltest.Script{
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(2 * time.Second):
			}
		},
		"hangs up": channeltest.HangUp, "cut off": channeltest.CutOff,
	} {
		t, err := tryFor(ctx, h, script, false, shortTime)
		if err != nil {
			return err
		}
		defer t.carrier.Close()
		err = t.holds(0, first+"unknown")
		if _, waits := t.Waits(); err == nil && waits {
			err = errors.New("the message will be sent again, and it may have left")
		}
		if row := rowOf(h, channel.Delivered); err == nil && row != nil {
			if status := t.Receipt(ctx, at(row)); status >= 300 {
				err = fmt.Errorf("the receipt is answered with %d", status)
			} else {
				err = t.holds(0, first+"delivered")
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// slow lets the carrier take its time.
func slow(ctx context.Context, h channeltest.Harness) error {
	t, err := try(ctx, h, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(shortTime / 5):
		}
		channeltest.Says(h.Accept)(w, r)
	}, false)
	if err != nil {
		return err
	}
	defer t.carrier.Close()
	d := t.Deliveries()[0]
	if d.ProviderID != h.WantID ||
		(d.Status != channel.Taken && d.Status != channel.Sent && d.Status != channel.Delivered) {
		return fmt.Errorf("the record says %+v", d)
	}
	return t.holds(0, first+string(d.Status))
}

// row answers a receipt of one message with that status, which names the message by the address alone; nil when the
// harness has none.
func rowOf(h channeltest.Harness, status channel.Status) *channeltest.ReceiptRow {
	for i, r := range h.Receipts {
		if !r.Refused && len(r.Want) == 1 && r.Want[0].Status == status && r.Want[0].Token == "" && !byID(h) {
			return &h.Receipts[i]
		}
	}
	return nil
}

// byID reports whether the provider's receipts name messages by their id alone.
func byID(h channeltest.Harness) bool {
	sender, carrier, err := h.Open(channeltest.Says(h.Accept))
	if err != nil {
		return false
	}
	defer carrier.Close()
	c, ok := channel.As[channel.Correlator](sender)
	return ok && c.ReceiptsByID()
}

// at returns the request with what every request has.
func at(r *channeltest.ReceiptRow) channel.Callback {
	c := r.Request
	if c.URL == nil {
		c.URL = &url.URL{}
	}
	return c
}

// early sends the receipt before the answer, twice and out of order; nothing takes the delivery back.
func early(ctx context.Context, h channeltest.Harness) error {
	end := rowOf(h, channel.Delivered)
	if end == nil {
		return nil
	}
	var t *trial
	var once sync.Once
	answers := []int{}
	begin := make(chan struct{})
	script := func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() {
			<-begin
			answers = append(answers, t.Receipt(ctx, at(end)))
		})
		channeltest.Says(h.Accept)(w, r)
	}
	t, err := ready(h, script, false, callTime)
	if err != nil {
		return err
	}
	defer t.carrier.Close()
	close(begin)
	if err := t.Send(ctx); err != nil {
		return err
	}
	for _, status := range []channel.Status{channel.Delivered, channel.Sent, channel.Undelivered, channel.Delivered} {
		if row := rowOf(h, status); row != nil {
			answers = append(answers, t.Receipt(ctx, at(row)))
		}
	}
	for _, status := range answers {
		if status >= 300 {
			return fmt.Errorf("the receipts are answered with %v", answers)
		}
	}
	return t.holds(0, first+"delivered")
}

// forged sends what must not be taken, and what is cut short: the record stays as it is, and the request learns
// nothing.
func forged(ctx context.Context, h channeltest.Harness) error {
	t, err := try(ctx, h, channeltest.Says(h.Accept), false)
	if err != nil {
		return err
	}
	defer t.carrier.Close()
	before := fmt.Sprintf("%+v", t.Deliveries())
	for i := range h.Receipts {
		row := &h.Receipts[i]
		if row.Refused {
			if status := t.Receipt(ctx, at(row)); status != http.StatusForbidden {
				return fmt.Errorf("%s: answered with %d, want 403", row.Name, status)
			}
		}
		if status, _, _ := t.Callback(ctx, First, strings.Repeat("A", 46), at(row)); status != http.StatusNotFound {
			return fmt.Errorf("%s: with a token that was guessed it is answered with %d, want 404", row.Name, status)
		}
	}
	if now := fmt.Sprintf("%+v", t.Deliveries()); now != before {
		return fmt.Errorf("the record was %s and is %s", before, now)
	}
	return nil
}
