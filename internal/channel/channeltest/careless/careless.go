// Package careless is a provider with the faults of its time: it trusts, prints and waits. The suites of providers are
// tested with it. It is not in the list of providers.
package careless

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

//go:embed testdata
var files embed.FS

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
	var said struct {
		Error string `json:"error"`
	}
	_ = a.JSON(&said)
	if kind, known := c.table()[said.Error]; known {
		return channel.Accepted{}, &channel.Error{Kind: kind, Provider: "careless", Code: said.Error}
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

// table has the errors, and a wrong one when that is the fault.
func (c *careless) table() map[string]channel.ErrorKind {
	t := map[string]channel.ErrorKind{
		"no_such_number": channel.Rejected,
		"no_credit":      channel.Refused,
		"slow_down":      channel.Throttled,
	}
	switch c.fault {
	case "a row is flipped":
		t["no_such_number"] = channel.Refused
	case "a row is missing":
		delete(t, "no_credit")
	case "a row too many":
		t["made_up"] = channel.Rejected
	}
	return t
}

// Receipts takes signed receipts, and others when that is the fault.
func (c *careless) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	if r.Header.Get("Signature") != "right" && c.fault != "takes forged receipts" {
		return nil, &channel.Error{Kind: channel.Refused, Provider: "careless", Code: "signature"}
	}
	status := channel.Status(r.Body)
	if c.fault == "a word is flipped" && status == channel.Undelivered {
		status = channel.Sent
	}
	if !status.Valid() {
		return nil, &channel.Error{Kind: channel.Refused, Provider: "careless", Code: "body"}
	}
	receipt := channel.Receipt{ProviderID: "id", Status: status}
	return []channel.Receipt{receipt}, nil
}

func signed(body string) channel.Callback {
	return channel.Callback{Method: http.MethodPost, Header: http.Header{"Signature": {"right"}}, Body: []byte(body)}
}

// receipts are what careless reports, and what it must refuse.
func receipts() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	for _, status := range []channel.Status{channel.Sent, channel.Delivered, channel.Undelivered} {
		rows = append(rows, channeltest.ReceiptRow{
			Name: string(status), Want: []channel.Receipt{{ProviderID: "id", Status: status}},
			Request: signed(string(status)),
		})
	}
	return append(rows, channeltest.ReceiptRow{
		Name:    "forged",
		Refused: true,
		Request: channel.Callback{Header: http.Header{"Signature": {"wrong"}}, Body: []byte("delivered")},
	})
}

// Harness returns a harness of the provider with one fault; without one it has none.
func Harness(fault string) channeltest.Harness {
	testdata, err := fs.Sub(files, "testdata")
	if err != nil {
		panic(err) // the folder is ours
	}
	return channeltest.Harness{
		Testdata: testdata,
		Tables:   map[string][]string{"answer": slices.Collect(maps.Keys((&careless{fault: fault}).table()))},
		Answer:   func(e channeltest.Expected) string { return `{"error":"` + e.Error + `"}` },
		News:     func(n channeltest.News) channel.Callback { return signed(n.Word) },
		Provider: channel.Provider{
			Name: "careless", Title: "Careless", Summary: "Has faults.", Channels: []channel.Kind{channel.SMS},
			Config: func() channel.Opener { return &careless{} },
		},
		Configure: func(base string) channel.Opener { return &careless{base: base, fault: fault} },
		Secrets:   []string{secretText},
		Accept:    channeltest.Reply{Status: 200, Body: `{}`},
		WantID:    "id",
		Receipts:  receipts(),
	}
}
