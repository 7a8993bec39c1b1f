package channeltest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
)

// These checks put the provider under the real handler of deliveries, beside a second route that takes everything, before a carrier that
// misbehaves: nothing is lost, nothing is doubled that could be avoided, and the record says what happened.

// trial is a provider under the handler.
type trial struct {
	*delivertest.Trial
	p *probe
}

// try opens the provider before a carrier and sends its message.
func (h Harness) try(ctx context.Context, script Script, alone bool) (*trial, error) {
	t, err := h.ready(script, alone)
	if err != nil {
		return nil, err
	}
	if err := t.Send(ctx); err != nil {
		t.p.carrier.Close()
		return nil, fmt.Errorf("the attempt cannot be recorded: %w", err)
	}
	return t, nil
}

// callTime is how long a call of a trial may take; a carrier that hangs takes it all.
const callTime = 500 * time.Millisecond

func (h Harness) ready(script Script, alone bool) (*trial, error) {
	p, err := h.open(script)
	if err != nil {
		return nil, err
	}
	t, err := delivertest.New(p.sender, Message(p.h.Channel), callTime, alone)
	if err != nil {
		p.carrier.Close()
		return nil, err
	}
	return &trial{t, p}, nil
}

// holds compares the record ("route status" of each delivery) and how many messages the second route took.
func (t *trial) holds(taken int, want ...string) error {
	var got []string
	for _, d := range t.Deliveries() {
		got = append(got, d.Route+" "+string(d.Status))
	}
	if !slices.Equal(got, want) || t.Other.Calls() != taken {
		return fmt.Errorf("the record says %v and the second route took %d, want %v and %d (%+v)", got, t.Other.Calls(), want, taken, t.Deliveries()[0])
	}
	return nil
}

const (
	first  = delivertest.First + " "
	second = delivertest.Second + " "
)

// after answers what follows a failed call of a kind: the record, and how many messages the second route takes.
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

// errorsUnderWay lets the carrier answer with every row of the error table, those that come with 200 as well.
func errorsUnderWay(ctx context.Context, h Harness) error {
	rows := append([]ErrorRow{
		{Name: "500", Reply: Reply{Status: http.StatusInternalServerError}, Kind: channel.Unavailable},
		{Name: "503 in HTML", Reply: Reply{Status: http.StatusServiceUnavailable, Body: "<html>"}, Kind: channel.Unavailable},
		{Name: "401", Reply: Reply{Status: http.StatusUnauthorized}, Kind: channel.Refused},
	}, h.Errors...)
	var faults []error
	for _, row := range rows {
		if slices.Contains(h.OwnStatuses, row.Reply.Status) && row.Reply.Status >= 400 && row.Code == "" {
			continue
		}
		t, err := h.try(ctx, Says(row.Reply), false)
		if err != nil {
			return err
		}
		taken, want := after(row.Kind)
		err = t.holds(taken, want...)
		if d := t.Deliveries()[0]; err == nil && (d.Kind != row.Kind || (row.Code != "" && d.Code != row.Code)) {
			err = fmt.Errorf("the record says %s %q, want %s %q", d.Kind, d.Code, row.Kind, row.Code)
		}
		if n := len(t.p.carrier.Requests()); err == nil && n != 1 {
			err = fmt.Errorf("%d calls for one attempt", n)
		}
		t.p.carrier.Close()
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", row.Name, err))
		}
	}
	return errors.Join(faults...)
}

// pauses lets the carrier ask for half a minute: another route takes the message at once, and without one it waits so long.
func pauses(ctx context.Context, h Harness) error {
	if slices.Contains(h.OwnStatuses, http.StatusTooManyRequests) {
		return nil
	}
	says := Says(Reply{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "30"}})
	t, err := h.try(ctx, says, false)
	if err != nil {
		return err
	}
	t.p.carrier.Close()
	if err := t.holds(1, first+"failed", second+"accepted"); err != nil {
		return err
	}
	if t, err = h.try(ctx, says, true); err != nil {
		return err
	}
	t.p.carrier.Close()
	if wait, ok := t.Waits(); !ok || wait != 30*time.Second {
		return fmt.Errorf("the carrier asked for 30 s, and the message waits %s (%t)", wait, ok)
	}
	return t.holds(0, first+"queued")
}

// vanishes lets the answer be lost in every way after the carrier has the message: it is not sent again, and a receipt tells the rest.
func vanishes(ctx context.Context, h Harness) error {
	for name, script := range map[string]Script{
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(2 * time.Second):
			}
		},
		"hangs up": hangUp, "cut off": cutOff,
	} {
		t, err := h.try(ctx, script, false)
		if err != nil {
			return err
		}
		defer t.p.carrier.Close()
		err = t.holds(0, first+"unknown")
		if _, waits := t.Waits(); err == nil && waits {
			err = errors.New("the message will be sent again, and it may have left")
		}
		if row := h.row(channel.Delivered); err == nil && row != nil {
			if status := t.Receipt(ctx, row.at()); status >= 300 {
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
func slow(ctx context.Context, h Harness) error {
	t, err := h.try(ctx, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(callTime / 5):
		}
		Says(h.Accept)(w, r)
	}, false)
	if err != nil {
		return err
	}
	defer t.p.carrier.Close()
	d := t.Deliveries()[0]
	if d.ProviderID != h.WantID || (d.Status != channel.Taken && d.Status != channel.Sent && d.Status != channel.Delivered) {
		return fmt.Errorf("the record says %+v", d)
	}
	return t.holds(0, first+string(d.Status))
}

// row answers a receipt of one message with that status, which names the message by the address alone; nil when the harness has none.
func (h Harness) row(status channel.Status) *ReceiptRow {
	for i, r := range h.Receipts {
		if !r.Refused && len(r.Want) == 1 && r.Want[0].Status == status && r.Want[0].Token == "" && !h.byID() {
			return &h.Receipts[i]
		}
	}
	return nil
}

// byID tells whether the provider's receipts name messages by their id alone.
func (h Harness) byID() bool {
	p, err := h.open(Says(h.Accept))
	if err != nil {
		return false
	}
	defer p.carrier.Close()
	c, ok := channel.As[channel.Correlator](p.sender)
	return ok && c.ReceiptsByID()
}

// at answers the request with what every request has.
func (r *ReceiptRow) at() channel.Callback {
	c := r.Request
	if c.URL == nil {
		c.URL = &url.URL{}
	}
	return c
}

// early sends the receipt before the answer, twice and out of order; nothing takes the delivery back.
func early(ctx context.Context, h Harness) error {
	end := h.row(channel.Delivered)
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
			answers = append(answers, t.Receipt(ctx, end.at()))
		})
		Says(h.Accept)(w, r)
	}
	t, err := h.ready(script, false)
	if err != nil {
		return err
	}
	defer t.p.carrier.Close()
	close(begin)
	if err := t.Send(ctx); err != nil {
		return err
	}
	for _, status := range []channel.Status{channel.Delivered, channel.Sent, channel.Undelivered, channel.Delivered} {
		if row := h.row(status); row != nil {
			answers = append(answers, t.Receipt(ctx, row.at()))
		}
	}
	for _, status := range answers {
		if status >= 300 {
			return fmt.Errorf("the receipts are answered with %v", answers)
		}
	}
	return t.holds(0, first+"delivered")
}

// forged sends what must not be taken, and what is cut short: the record stays as it is, and the request learns nothing.
func forged(ctx context.Context, h Harness) error {
	t, err := h.try(ctx, Says(h.Accept), false)
	if err != nil {
		return err
	}
	defer t.p.carrier.Close()
	before := fmt.Sprintf("%+v", t.Deliveries())
	for i := range h.Receipts {
		row := &h.Receipts[i]
		if row.Refused {
			if status := t.Receipt(ctx, row.at()); status != http.StatusForbidden {
				return fmt.Errorf("%s: answered with %d, want 403", row.Name, status)
			}
		}
		if status, _, _ := t.Callback(ctx, delivertest.First, strings.Repeat("A", 46), row.at()); status != http.StatusNotFound {
			return fmt.Errorf("%s: with a token that was guessed it is answered with %d, want 404", row.Name, status)
		}
	}
	if now := fmt.Sprintf("%+v", t.Deliveries()); now != before {
		return fmt.Errorf("the record was %s and is %s", before, now)
	}
	return nil
}
