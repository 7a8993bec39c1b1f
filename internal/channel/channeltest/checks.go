package channeltest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"

	"github.com/dialproof/dialproof/internal/channel"
)

func describes(_ context.Context, h Harness) error {
	p := h.Provider
	switch {
	case p.Name == "" || strings.ToLower(p.Name) != p.Name:
		return errors.New("the name must be lower case")
	case p.Title == "" || p.Summary == "":
		return errors.New("the title or summary is missing")
	case len(p.Channels) == 0 || p.Config == nil:
		return errors.New("the channels or the settings are missing")
	}
	s, err := h.open(Says(h.Accept))
	if err != nil {
		return err
	}
	defer s.carrier.Close()
	if !within(s.sender.Channels(), p.Channels) {
		return fmt.Errorf("the sender carries %v, the provider says %v", s.sender.Channels(), p.Channels)
	}
	return documented(reflect.TypeOf(p.Config()).Elem())
}

// within reports whether some are of all; settings may narrow what a sender carries.
func within(some, all []channel.Kind) bool {
	return len(some) > 0 && !slices.ContainsFunc(some, func(k channel.Kind) bool { return !slices.Contains(all, k) })
}

// documented holds that every setting has a key and a word about it.
func documented(t reflect.Type) error {
	for f := range t.Fields() {
		if f.IsExported() && (f.Tag.Get("yaml") == "" || f.Tag.Get("doc") == "") {
			return fmt.Errorf("the setting %s has no yaml or doc tag", f.Name)
		}
	}
	return nil
}

func taken(ctx context.Context, h Harness) error {
	p, err := h.open(Says(h.Accept))
	if err != nil {
		return err
	}
	defer p.carrier.Close()
	a, err := p.send(ctx)
	if err != nil {
		return fmt.Errorf("the message was not taken: %w", err)
	}
	if a.ID != h.WantID {
		return fmt.Errorf("the id is %q, want %q", a.ID, h.WantID)
	}
	if a.Status != "" && !a.Status.Valid() {
		return fmt.Errorf("the status %q is none", a.Status)
	}
	requests := p.carrier.Requests()
	if len(requests) != 1 {
		return fmt.Errorf("%d requests for one message", len(requests))
	}
	r := requests[0]
	if strings.Contains(r.URL.String(), code) {
		return errors.New("the code stands in the address, where logs keep it")
	}
	if h.Request != nil {
		return h.Request(r.Request, r.Body)
	}
	return nil
}

// takenWithoutID holds that a yes is a yes: no call for it fails, and nothing is sent again.
func takenWithoutID(ctx context.Context, h Harness) error {
	if h.WithoutID.Status == 0 {
		return nil
	}
	p, err := h.open(Says(h.WithoutID))
	if err != nil {
		return err
	}
	defer p.carrier.Close()
	if h.byID() {
		return errors.New("the provider's receipts name a message by its id, so it needs one")
	}
	if _, err := p.send(ctx); err != nil {
		return fmt.Errorf("the message was not taken: %w", err)
	}
	return nil
}

// byID reports whether the provider's receipts name messages by their id alone.
func (h Harness) byID() bool {
	p, err := h.open(Says(h.Accept))
	if err != nil {
		return false
	}
	defer p.carrier.Close()
	c, ok := channel.As[channel.Correlator](p.sender)
	return ok && c.ReceiptsByID()
}

// errorTable drives every row of errors.tsv through the provider, and compares the rows with the code's tables.
func errorTable(ctx context.Context, h Harness) error {
	rows, err := h.expected()
	if err != nil {
		return err
	}
	var faults []error
	for where, table := range h.Tables {
		faults = append(faults, Covers(rows, where, table))
	}
	answers, err := h.Answers()
	if err != nil {
		return err
	}
	for _, row := range answers {
		p, err := h.open(Says(row.Reply))
		if err != nil {
			return err
		}
		e, err := p.fails(ctx)
		p.carrier.Close()
		if err != nil {
			err = fmt.Errorf("%s: %w", row, err)
		} else {
			err = row.fits(e.Kind, e.Code)
		}
		faults = append(faults, err)
	}
	for _, row := range rows {
		if row.reported() {
			faults = append(faults, h.reported(ctx, row))
		}
	}
	return errors.Join(faults...)
}

// reported holds what a receipt says of a message that failed.
func (h Harness) reported(ctx context.Context, row Expected) error {
	if h.Report == nil {
		return fmt.Errorf("%s: the harness does not say how it is reported", row)
	}
	got, err := h.receive(ctx, h.Report(row))
	if err != nil {
		return fmt.Errorf("%s: %w, want one receipt", row, err)
	}
	if len(got) != 1 {
		return fmt.Errorf("%s: %v, want one receipt", row, got)
	}
	if s := got[0].Status; s != channel.Undelivered && s != channel.Failed {
		return fmt.Errorf("%s: the status is %s", row, s)
	}
	return row.fits(got[0].Kind, got[0].Code)
}

// news drives every row of receipts.tsv through the provider.
func news(ctx context.Context, h Harness) error {
	if h.News == nil {
		return nil
	}
	rows, err := ReadNews(h.testdata())
	if err != nil {
		return err
	}
	var faults []error
	for _, row := range rows {
		got, err := h.receive(ctx, h.News(row))
		if err == nil && (len(got) != 1 || got[0].Status != row.Status) {
			err = fmt.Errorf("got %v", got)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d (%s): want %s: %w", NewsFile, row.Line, row.Word, row.Status, err))
		}
	}
	return errors.Join(faults...)
}

// statuses sends every HTTP status with no word that the provider knows.
func statuses(ctx context.Context, h Harness) error {
	var faults []error
	for status := 200; status < 600; status++ {
		if slices.Contains(h.OwnStatuses, status) || http.StatusText(status) == "" || (status >= 200 && status < 300) {
			continue
		}
		want := []channel.ErrorKind{channel.Refused, channel.Rejected, channel.Unavailable, channel.MaybeSent}
		switch {
		case status == http.StatusTooManyRequests:
			want = []channel.ErrorKind{channel.Throttled}
		case status == http.StatusUnauthorized || status == http.StatusForbidden:
			want = []channel.ErrorKind{channel.Refused}
		case status >= 500:
			want = []channel.ErrorKind{channel.Unavailable, channel.Throttled, channel.MaybeSent}
		}
		if err := h.failsAs(ctx, Says(Reply{Status: status, Body: `{"echo":"` + code + `"}`}), want...); err != nil {
			faults = append(faults, fmt.Errorf("%d: %w", status, err))
		}
	}
	return errors.Join(faults...)
}

func unreachable(ctx context.Context, h Harness) error {
	p, err := h.open(Says(h.Accept))
	if err != nil {
		return err
	}
	p.carrier.Close() // nobody listens now
	e, err := p.fails(ctx)
	if err == nil && e.Kind != channel.Unavailable {
		return fmt.Errorf("the kind is %s: a message that surely never left is unavailable", e.Kind)
	}
	return err
}

func hangsUp(ctx context.Context, h Harness) error {
	return h.failsAs(ctx, HangUp, channel.MaybeSent)
}

func hangs(ctx context.Context, h Harness) error {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	return h.failsAs(ctx, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(2 * time.Second):
		}
	}, channel.MaybeSent)
}

func truncated(ctx context.Context, h Harness) error {
	return h.failsAs(ctx, CutOff, channel.MaybeSent)
}

// nonsense returns 200 with what no provider says. Some providers say nothing but 200, and then it counts as taken.
func nonsense(ctx context.Context, h Harness) error {
	for _, body := range []string{"", "null", "[]", "<html>", `{"a":`, "\x00\xff", `{"messages":[]}`, `{"error":null}`} {
		p, err := h.open(Says(Reply{Status: http.StatusOK, Body: body}))
		if err != nil {
			return err
		}
		_, err = p.send(ctx)
		p.carrier.Close()
		if err == nil {
			continue
		}
		e, err := bare(err)
		if err != nil {
			return fmt.Errorf("%q: %w", body, err)
		}
		if e.Kind == channel.Unavailable {
			return fmt.Errorf("%q: unavailable would send it again, and it may have left", body)
		}
	}
	return nil
}

func huge(ctx context.Context, h Harness) error {
	p, err := h.open(flood)
	if err != nil {
		return err
	}
	defer p.carrier.Close()
	if _, err = p.send(ctx); err == nil {
		return nil
	}
	_, err = bare(err)
	return err
}

func noTime(ctx context.Context, h Harness) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	p, err := h.open(Says(h.Accept))
	if err != nil {
		return err
	}
	defer p.carrier.Close()
	e, err := p.fails(ctx)
	if err != nil {
		return err
	}
	if e.Kind != channel.Unavailable || len(p.carrier.Requests()) != 0 {
		return fmt.Errorf("the kind is %s after %d requests, want unavailable and none", e.Kind, len(p.carrier.Requests()))
	}
	return nil
}

func atOnce(ctx context.Context, h Harness) error {
	p, err := h.open(Says(h.Accept))
	if err != nil {
		return err
	}
	defer p.carrier.Close()
	var all sync.WaitGroup
	faults := make([]error, 32)
	for i := range faults {
		all.Go(func() { _, faults[i] = p.sender.Send(ctx, Message(p.h.Channel)) })
	}
	all.Wait()
	if n := len(p.carrier.Requests()); n != len(faults) {
		faults = append(faults, fmt.Errorf("%d requests for %d messages", n, len(faults)))
	}
	return errors.Join(faults...)
}

// receive opens the provider and gives it a receipt.
func (h Harness) receive(ctx context.Context, r channel.Callback) ([]channel.Receipt, error) {
	p, err := h.open(Says(h.Accept))
	if err != nil {
		return nil, err
	}
	defer p.carrier.Close()
	receiver, ok := channel.As[channel.Receiver](p.sender)
	if !ok {
		return nil, errors.New("the provider takes no receipts")
	}
	if r.Now.IsZero() {
		r.Now = Now()
	}
	got, err := receiver.Receipts(ctx, r)
	if leak := p.leaks(err); leak != nil {
		return nil, errLeak{leak}
	}
	return got, err
}

func receipts(ctx context.Context, h Harness) error {
	var faults []error
	for _, row := range h.Receipts {
		got, err := h.receive(ctx, row.Request)
		if row.Refused {
			if e, bad := bare(err); bad != nil || e.Kind != channel.Refused || len(got) > 0 {
				faults = append(faults, fmt.Errorf("%s: %v, %w, want refused", row.Name, got, err))
			}
			continue
		}
		for i := range got {
			got[i].At = time.Time{}
			if !got[i].Status.Valid() {
				faults = append(faults, fmt.Errorf("%s: the status %q is none", row.Name, got[i].Status))
			}
		}
		if err != nil || !reflect.DeepEqual(got, row.Want) {
			faults = append(faults, fmt.Errorf("%s: %+v, %w, want %+v", row.Name, got, err, row.Want))
		}
	}
	return errors.Join(faults...)
}

// badReceipts damages each good receipt. Nothing may panic, and what is refused is refused in the closed set.
func badReceipts(ctx context.Context, h Harness) error {
	for _, row := range h.Receipts {
		for _, body := range [][]byte{nil, []byte("{"), []byte("%zz=%"), []byte(strings.Repeat("[", 10_000)),
			[]byte(strings.Repeat("a=b&", 10_000)), {0xff, 0}} {
			damaged := row.Request
			damaged.Body = body
			_, err := h.receive(ctx, damaged)
			if err == nil {
				continue
			}
			if _, err := bare(err); err != nil {
				return fmt.Errorf("%s with the body %.20q: %w", row.Name, body, err)
			}
		}
	}
	return nil
}

// quietSettings prints the settings in every way that a careless line would.
func quietSettings(_ context.Context, h Harness) error {
	settings := h.Configure("http://127.0.0.1:1")
	asJSON, _ := json.Marshal(settings)
	asYAML, _ := yaml.Marshal(settings)
	text := fmt.Sprintf("%v\n%+v\n%#v\n%s\n%s", settings, settings, settings, asJSON, asYAML)
	for _, s := range h.Secrets {
		if strings.Contains(text, s) {
			return fmt.Errorf("the settings print the secret %q", s)
		}
	}
	return nil
}
