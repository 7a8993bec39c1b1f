package channeltest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

// careless is a provider with the faults of its time: it trusts, prints and waits. Each fault is one that the suite
// must find.
type careless struct {
	base  string
	fault string
	env   channel.Env
}

func (*careless) Validate() error { return nil }

func (c *careless) Open(env channel.Env) (channel.Sender, error) { c.env = env; return c, nil }

func (*careless) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }

const secretText = "hunter2-hunter2"

// GoString prints the secret when that is the fault.
func (c *careless) GoString() string {
	if c.fault == "settings" {
		return secretText
	}
	return "careless"
}

// Send makes the call and has one fault.
func (c *careless) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	address := c.base
	if c.fault == "code in address" {
		address += "/?code=" + m.Code.Reveal()
	}
	if c.fault == "ignores the context" {
		ctx = context.WithoutCancel(ctx)
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader("x"))
	if c.fault == "sends twice" {
		if resp, err := c.env.HTTP.Do(req.Clone(ctx)); err == nil {
			resp.Body.Close()
		}
	}
	if c.fault == "plain error" {
		resp, err := c.env.HTTP.Do(req)
		if err != nil {
			return channel.Accepted{}, fmt.Errorf("careless: %w", err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			return channel.Accepted{}, errors.New("careless: failed")
		}
		return channel.Accepted{ID: "id"}, nil
	}
	a, err := channel.Do(ctx, c.env.HTTP, "careless", req)
	if err != nil {
		e := channel.AsError("careless", err)
		if c.fault == "resends" || c.fault == "resends at once" {
			e.Kind = channel.Unavailable
		}
		return channel.Accepted{}, e
	}
	return c.judge(a, m)
}

func (c *careless) judge(a channel.Answer, m channel.Message) (channel.Accepted, error) {
	if c.fault == "ignores the status" {
		return channel.Accepted{ID: "id"}, nil
	}
	if a.Status != 200 {
		e := channel.StatusError("careless", a, time.Now())
		switch c.fault {
		case "prints the answer":
			e.Detail = string(a.Body)
		case "prints the number":
			e.Detail = m.To.E164()
		case "logs the code":
			c.env.Log.Warn("failed", "text", m.Text.Body)
		case "forgets the pause":
			e.RetryAfter = 0
		case "no throttling":
			e.Kind = channel.Refused
		case "own kind":
			e.Kind = "weird"
		}
		return channel.Accepted{}, e
	}
	if c.fault == "no id" {
		return channel.Accepted{}, nil
	}
	return channel.Accepted{ID: "id"}, nil
}

// Receipts takes signed receipts, and others when that is the fault.
func (c *careless) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	if r.Header.Get("Signature") != "right" && c.fault != "takes forged receipts" {
		return nil, &channel.Error{Kind: channel.Refused, Provider: "careless", Code: "signature"}
	}
	status := channel.Status(r.Body)
	if !status.Valid() {
		return nil, &channel.Error{Kind: channel.Refused, Provider: "careless", Code: "body"}
	}
	receipt := channel.Receipt{ProviderID: "id", Status: status}
	return []channel.Receipt{receipt}, nil
}

// receipts are what careless reports, and what it must refuse.
func receipts() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	for _, status := range []channel.Status{channel.Sent, channel.Delivered, channel.Undelivered} {
		rows = append(rows, channeltest.ReceiptRow{
			Name: string(status), Want: []channel.Receipt{{ProviderID: "id", Status: status}},
			Request: channel.Callback{Method: http.MethodPost, Header: http.Header{"Signature": {"right"}}, Body: []byte(status)},
		})
	}
	return append(rows, channeltest.ReceiptRow{Name: "forged", Refused: true, Request: channel.Callback{Header: http.Header{"Signature": {"wrong"}}, Body: []byte("delivered")}})
}

func harness(fault string) channeltest.Harness {
	return channeltest.Harness{
		Provider: channel.Provider{
			Name: "careless", Title: "Careless", Summary: "Has faults.", Channels: []channel.Kind{channel.SMS},
			Config: func() channel.Opener { return &careless{} },
		},
		Configure: func(base string) channel.Opener { return &careless{base: base, fault: fault} },
		Secrets:   []string{secretText},
		Accept:    channeltest.Reply{Status: 200, Body: `{}`}, WantID: "id", Receipts: receipts(),
	}
}

// failed answers the checks that find something.
func failed(t *testing.T, h channeltest.Harness) (names []string) {
	t.Helper()
	for _, c := range channeltest.Checks() {
		if err := c.Hold(t.Context(), h); err != nil {
			names = append(names, c.Name)
		}
	}
	return names
}

// TestTheSuiteFindsFaults plants one fault at a time.
func TestTheSuiteFindsFaults(t *testing.T) {
	t.Parallel()
	if found := failed(t, harness("")); found != nil {
		t.Fatalf("without a fault: %v", found)
	}
	for fault, want := range map[string]string{
		"code in address":       "a message is taken",
		"sends twice":           "a message is taken",
		"no id":                 "a message is taken",
		"plain error":           "every HTTP status",
		"ignores the status":    "every HTTP status",
		"no throttling":         "every HTTP status",
		"own kind":              "every HTTP status",
		"prints the answer":     "every HTTP status",
		"prints the number":     "every HTTP status",
		"logs the code":         "every HTTP status",
		"resends":               "the carrier hangs up before it answers",
		"ignores the context":   "there is no time left",
		"settings":              "settings do not print their secrets",
		"forgets the pause":     "under way: the carrier asks for a pause",
		"takes forged receipts": "under way: forged receipts",
		"resends at once":       "under way: the answer is lost",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			found := failed(t, harness(fault))
			if !slices.Contains(found, want) {
				t.Errorf("found by %v, want by %q", found, want)
			}
		})
	}
}
