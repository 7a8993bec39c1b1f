package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// maxPause bounds the pause that a gateway may ask for in its answer.
const maxPause = 24 * time.Hour

var (
	_ channel.Sender  = (*sender)(nil)
	_ channel.Checker = (*checker)(nil)
)

// Channels implements channel.Sender.
func (s *sender) Channels() []channel.Kind { return s.cfg.Channels }

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	values := s.values(m)
	content, contentType := s.body(values)
	req, err := http.NewRequestWithContext(ctx, s.cfg.Method, s.url.fill(values), bytes.NewReader(content))
	if err != nil {
		return channel.Accepted{}, rest.Refused(name, "url", "the address cannot be used")
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	s.dress(req, values)
	a, err := s.do(ctx, req)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a, m)
}

// do makes a call. The cause of a failure names the address, which may hold more than it should, so it is not kept.
func (s *sender) do(ctx context.Context, req *http.Request) (channel.Answer, error) {
	a, err := channel.Do(ctx, s.http, name, req)
	if err != nil {
		e := *channel.AsError(name, err)
		return a, e.Because(nil)
	}
	return a, nil
}

// dress sets the headers. A value that would begin another header is made one line.
func (s *sender) dress(req *http.Request, values map[string]string) {
	for key, t := range s.headers {
		if v := t.fill(values, oneLine); v != "" {
			req.Header.Set(key, v)
		}
	}
	if b := s.cfg.BasicAuth; b.Username != "" {
		req.SetBasicAuth(b.Username, b.Password.Reveal())
	}
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// answerPlan is Answer, understood.
type answerPlan struct {
	ok, id, parts, price, currency, code, retryAfter place
	// money is the currency itself when the settings name it.
	money string
	kinds map[string]channel.ErrorKind
}

func (p *plan) compileAnswer() error {
	c := p.cfg.Answer
	for i, s := range c.Statuses {
		if s < 200 || s > 599 {
			return fmt.Errorf("answer.statuses[%d]: must be an HTTP status such as 200", i)
		}
	}
	if (c.OK.At == "") != (len(c.OK.Is) == 0) {
		return fmt.Errorf("answer.ok: needs both at, a place, and is, the values that mean yes")
	}
	if currencyForm.MatchString(c.Currency) {
		p.answer.money, c.Currency = c.Currency, ""
	}
	for _, f := range []struct {
		key, value string
		into       *place
	}{
		{"ok.at", c.OK.At, &p.answer.ok},
		{"id", c.ID, &p.answer.id},
		{"parts", c.Parts, &p.answer.parts},
		{"price", c.Price, &p.answer.price},
		{"currency", c.Currency, &p.answer.currency},
		{"error", c.Error, &p.answer.code},
		{"retry_after", c.RetryAfter, &p.answer.retryAfter},
	} {
		var err error
		if *f.into, err = parsePlace("answer."+f.key, f.value); err != nil {
			return err
		}
	}
	var err error
	p.answer.kinds, err = kinds("answer.errors", c.Errors, channel.ErrorKinds())
	return err
}

// kinds reads a table of error codes.
func kinds(key string, table map[string]string, allowed []channel.ErrorKind) (map[string]channel.ErrorKind, error) {
	if len(table) > maxEntries*10 {
		return nil, fmt.Errorf("%s: must be at most %d", key, maxEntries*10)
	}
	out := map[string]channel.ErrorKind{}
	for code, kind := range table {
		if !slices.Contains(allowed, channel.ErrorKind(kind)) {
			return nil, fmt.Errorf("%s.%s: must be one of %v", key, code, allowed)
		}
		out[code] = channel.ErrorKind(kind)
	}
	return out, nil
}

// judge reads the answer to a message.
func (s *sender) judge(a channel.Answer, m channel.Message) (channel.Accepted, error) {
	d := newDocument(a.Header, a.Body)
	code, _ := d.at(s.answer.code)
	if !s.good(a.Status) {
		return channel.Accepted{}, s.refusal(d, a, m, code)
	}
	if s.cfg.Answer.OK.At != "" {
		v, found := d.at(s.answer.ok)
		if !found {
			return channel.Accepted{}, unclear("the answer does not say whether the message was taken: see answer.ok")
		}
		if !slices.Contains(s.cfg.Answer.OK.Is, v) {
			return channel.Accepted{}, s.refusal(d, a, m, code)
		}
	} else if code != "" && code != "0" && code != "false" {
		return channel.Accepted{}, s.refusal(d, a, m, code)
	}
	out := channel.Accepted{ID: m.Delivery, Status: channel.Taken}
	if s.cfg.Answer.ID != "" {
		id, _ := d.at(s.answer.id)
		switch {
		case id != "":
			out.ID = id
		case s.cfg.Answer.OK.At == "" || s.byID():
			return channel.Accepted{}, unclear("the answer has no id: see answer.id")
		} // it says yes, and no report needs the id
	}
	n, _ := d.at(s.answer.parts)
	out.Parts = parts(n)
	amount, _ := d.at(s.answer.price)
	currency, found := d.at(s.answer.currency)
	if !found {
		currency = s.answer.money
	}
	out.Price, out.Currency = price(amount, currency)
	return out, nil
}

// good reports whether a status is one of a message that was taken.
func (s *sender) good(status int) bool {
	if len(s.cfg.Answer.Statuses) == 0 {
		return status >= 200 && status < 300
	}
	return slices.Contains(s.cfg.Answer.Statuses, status)
}

func unclear(detail string) *channel.Error {
	return &channel.Error{Kind: channel.MaybeSent, Provider: name, Code: "answer", Detail: detail}
}

// refusal judges a no: by the operator's table, else by the status.
func (s *sender) refusal(d *document, a channel.Answer, m channel.Message, code string) *channel.Error {
	status := "HTTP " + strconv.Itoa(a.Status)
	for _, c := range []string{code, status} {
		if kind, known := s.answer.kinds[c]; known && c != "" {
			return &channel.Error{
				Kind:       kind,
				Provider:   name,
				Code:       c,
				Detail:     "the gateway said so, and answer.errors says what it means",
				RetryAfter: s.pause(d, a, kind),
			}
		}
	}
	e := channel.StatusError(name, a, s.now())
	if s.good(a.Status) {
		e = rest.Refused(name, "refused", "the gateway did not take the message; answer.errors can say what its code means")
	}
	if e.Kind == channel.Throttled {
		e.RetryAfter = s.pause(d, a, e.Kind)
	}
	// An unknown code helps whoever completes the table, if it is a code and not the message back again.
	if c := harmless(code); c != "" && !strings.Contains(c, m.Code.Reveal()) {
		e.Code = c
	}
	return e
}

// pause returns how long a gateway that is asked too often wants to be left alone.
func (s *sender) pause(d *document, a channel.Answer, kind channel.ErrorKind) time.Duration {
	if kind != channel.Throttled {
		return 0
	}
	v, _ := d.at(s.answer.retryAfter)
	if seconds, err := strconv.ParseFloat(v, 64); err == nil && seconds > 0 {
		return time.Duration(min(seconds, maxPause.Seconds()) * float64(time.Second))
	}
	return a.RetryAfter(s.now())
}

// checker is a sender whose settings have a call for doctor.
type checker struct {
	channel.Sender
	s *sender
}

// Unwrap returns the sender within, for its other powers.
func (c *checker) Unwrap() channel.Sender { return c.Sender }

// Check implements channel.Checker.
func (c *checker) Check(ctx context.Context) error {
	method := c.s.cfg.Check.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, c.s.check.fill(c.s.secrets), http.NoBody)
	if err != nil {
		return rest.Refused(name, "url", "the address cannot be used")
	}
	c.s.dress(req, c.s.secrets)
	for key, t := range c.s.headers {
		if slices.ContainsFunc(t, func(p piece) bool { _, ok := c.s.secrets[p.name]; return p.name != "" && !ok }) {
			req.Header.Del(key) // it speaks of a message
		}
	}
	a, err := c.s.do(ctx, req)
	if err == nil && (a.Status < 200 || a.Status > 299) {
		err = channel.StatusError(name, a, c.s.now())
	}
	return err
}
