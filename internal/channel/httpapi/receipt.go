package httpapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // some gateways sign with HMAC-SHA-1, which is weak as a hash and sound as an HMAC
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// maxReports bounds the reports of one request.
const maxReports = 1000

// Where a gateway puts its report.
const (
	inQuery = "query"
	inForm  = "form"
	inJSON  = "json"
)

// wholeList says that the body itself is the list of reports.
const wholeList = "list"

// receiver is a sender whose gateway reports.
type receiver struct{ *sender }

var (
	_ channel.Receiver   = (*receiver)(nil)
	_ channel.Correlator = (*receiver)(nil)
	_ channel.Answerer   = (*receiver)(nil)
)

// receiptPlan is Receipts, understood.
type receiptPlan struct {
	each                                               []string
	token, id, status, code, parts, price, currencyKey field
	money                                              string
	statuses                                           map[string]channel.Status
	kinds                                              map[string]channel.ErrorKind
	hash                                               func() hash.Hash
}

// field is the name of a field, and in JSON also its pointer.
type field struct {
	name    string
	pointer []string
}

func (p *plan) compileReceipts() error {
	c := p.cfg.Receipts
	if c.In == "" {
		if c.Status != "" || len(c.Statuses) > 0 || c.ID != "" || c.Token != "" {
			return errors.New("receipts.in: must say where the gateway puts its report: query, form or json")
		}
		return nil
	}
	if err := p.checkReceipts(); err != nil {
		return err
	}
	if err := p.compileFields(); err != nil {
		return err
	}
	if err := p.compileStatuses(); err != nil {
		return err
	}
	var err error
	p.receipt.kinds, err = kinds("receipts.errors", c.Errors,
		[]channel.ErrorKind{channel.Rejected, channel.Refused, channel.Unavailable})
	if err != nil {
		return err
	}
	return p.compileSignature(c.Signature)
}

// checkReceipts returns why reports cannot be read with what is configured.
func (p *plan) checkReceipts() error {
	c := p.cfg.Receipts
	switch {
	case c.In != inQuery && c.In != inForm && c.In != inJSON:
		return errors.New("receipts.in: must be query, form or json")
	case c.Each != "" && c.In != inJSON:
		return errors.New("receipts.each: is for reports in json")
	case c.Status == "" || len(c.Statuses) == 0:
		return errors.New("receipts.status and receipts.statuses: must say where the status stands, and what each one means")
	case c.ID == "" && c.Token == "" && !p.uses["callback"]:
		return errors.New(
			"receipts: nothing names the message; send {callback} along as the address of reports, or say in token or id " +
				"where the report repeats one of them")
	case c.Token != "" && !p.uses["token"]:
		return errors.New("receipts.token: the gateway cannot repeat what it never gets; send {token} along")
	}
	return nil
}

// compileStatuses reads what the gateway's words for how far a message is mean.
func (p *plan) compileStatuses() error {
	p.receipt.statuses = map[string]channel.Status{}
	for word, s := range p.cfg.Receipts.Statuses {
		status := channel.Status(s)
		if status.Final() || status == channel.Taken || status == channel.Sent {
			p.receipt.statuses[strings.ToLower(word)] = status
			continue
		}
		return fmt.Errorf("receipts.statuses.%s: must be accepted, sent, delivered, undelivered or failed", word)
	}
	return nil
}

// compileFields reads where in a report each of its fields stands.
func (p *plan) compileFields() (err error) {
	c := p.cfg.Receipts
	if currencyForm.MatchString(c.Currency) {
		p.receipt.money, c.Currency = c.Currency, ""
	}
	for _, f := range []struct {
		key, value string
		into       *field
	}{
		{"token", c.Token, &p.receipt.token},
		{"id", c.ID, &p.receipt.id},
		{"status", c.Status, &p.receipt.status},
		{"error", c.Error, &p.receipt.code},
		{"parts", c.Parts, &p.receipt.parts},
		{"price", c.Price, &p.receipt.price},
		{"currency", c.Currency, &p.receipt.currencyKey},
	} {
		f.into.name = f.value
		if f.value != "" && c.In == inJSON {
			if f.into.pointer, err = parsePointer("receipts."+f.key, f.value); err != nil {
				return err
			}
		}
	}
	if c.Each != "" && c.Each != wholeList {
		p.receipt.each, err = parsePointer("receipts.each", c.Each)
	}
	return err
}

func (p *plan) compileSignature(s Signature) error {
	if s == (Signature{}) {
		return nil
	}
	switch {
	case !headerForm.MatchString(s.Header):
		return errors.New("receipts.signature.header: must name the header with the signature")
	case s.Secret.IsZero():
		return errors.New("receipts.signature.secret: is missing; give it, or secret_file")
	case s.Encoding != "hex" && s.Encoding != "base64":
		return errors.New("receipts.signature.encoding: must be hex or base64")
	case p.cfg.Receipts.In == inQuery:
		return errors.New(
			"receipts.signature: signs the body, and a report in the query has none; its address cannot be guessed, which " +
				"is what it is held by")
	}
	switch s.Algorithm {
	case "hmac-sha256":
		p.receipt.hash = sha256.New
	case "hmac-sha512":
		p.receipt.hash = sha512.New
	case "hmac-sha1":
		p.receipt.hash = sha1.New
	default:
		return errors.New("receipts.signature.algorithm: must be hmac-sha256, hmac-sha512 or hmac-sha1")
	}
	return nil
}

// ReceiptsByID implements channel.Correlator.
func (r *receiver) ReceiptsByID() bool {
	return r.byID()
}

// byID reports whether reports name a message by the gateway's id alone.
func (p *plan) byID() bool {
	return p.cfg.Receipts.ID != "" && p.cfg.Receipts.Token == "" && !p.uses["callback"]
}

// Answer implements channel.Answerer.
func (r *receiver) Answer(context.Context, channel.Callback) (channel.Reply, bool) {
	text := r.cfg.Receipts.Reply
	return channel.Reply{Status: http.StatusOK, ContentType: "text/plain; charset=utf-8", Body: []byte(text)}, text != ""
}

// Receipts implements channel.Receiver.
func (r *receiver) Receipts(_ context.Context, c channel.Callback) ([]channel.Receipt, error) {
	if !r.signed(c) {
		return nil, rest.Refused(name, "signature", "the report's signature is missing or wrong")
	}
	reports, ok := r.reports(c)
	if !ok || len(reports) > maxReports {
		return nil, rest.Refused(name, "body", "the report cannot be understood")
	}
	var out []channel.Receipt
	for _, get := range reports {
		got, known, err := r.read(get, c)
		if err != nil {
			return nil, err
		}
		if known {
			out = append(out, got)
		}
	}
	return out, nil
}

// signed reports whether a report carries the signature of its body, when the gateway signs.
func (r *receiver) signed(c channel.Callback) bool {
	if r.receipt.hash == nil {
		return true
	}
	s := r.cfg.Receipts.Signature
	given, ok := strings.CutPrefix(strings.TrimSpace(c.Header.Get(s.Header)), s.Prefix)
	if !ok {
		return false
	}
	raw, err := hex.DecodeString(given)
	if s.Encoding == "base64" {
		raw, err = base64.StdEncoding.DecodeString(given)
	}
	mac := hmac.New(r.receipt.hash, []byte(s.Secret.Reveal()))
	mac.Write(c.Body)
	return err == nil && hmac.Equal(raw, mac.Sum(nil))
}

// lookup answers a field of a report; empty when it is not there.
type lookup func(field) string

// reports returns the reports of a request, each by what looks its fields up.
func (r *receiver) reports(c channel.Callback) (out []lookup, ok bool) {
	switch r.cfg.Receipts.In {
	case inJSON:
		return r.jsonReports(c.Body)
	case inForm:
		form, err := url.ParseQuery(string(c.Body))
		return []lookup{inValues(form)}, err == nil
	}
	if c.URL == nil {
		return nil, false
	}
	query, err := url.ParseQuery(c.URL.RawQuery)
	return []lookup{inValues(query)}, err == nil
}

func inValues(values url.Values) lookup {
	return func(f field) string {
		v := values.Get(f.name)
		if f.name == "" || len(v) > maxValue {
			return ""
		}
		return v
	}
}

func (r *receiver) jsonReports(body []byte) (out []lookup, ok bool) {
	tree, err := decode(body)
	if err != nil {
		return nil, false
	}
	items := []any{tree}
	if r.cfg.Receipts.Each != "" {
		node, found := follow(tree, r.receipt.each)
		if items, ok = node.([]any); !found || !ok {
			return nil, false
		}
	}
	for _, item := range items {
		out = append(out, func(f field) string {
			node, found := follow(item, f.pointer)
			if f.name == "" || !found {
				return ""
			}
			v, _ := scalar(node)
			return v
		})
	}
	return out, true
}

// read returns what a report says. known is false when its status is no news.
func (r *receiver) read(get lookup, c channel.Callback) (out channel.Receipt, known bool, err error) {
	p := r.receipt
	out = channel.Receipt{Token: get(p.token), ProviderID: get(p.id), At: c.Now}
	word := get(p.status)
	if word == "" || (out.Token == "" && out.ProviderID == "" && !r.uses["callback"]) {
		return out, false, rest.Refused(name, "body", "the report names no message or no status: see receipts")
	}
	if out.Status, known = p.statuses[strings.ToLower(word)]; !known {
		return out, false, nil
	}
	out.Parts = parts(get(p.parts))
	currency := get(p.currencyKey)
	if currency == "" {
		currency = p.money
	}
	out.Price, out.Currency = price(get(p.price), currency)
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		out.Code, out.Kind = p.failure(get(p.code), word)
	}
	return out, true, nil
}

// failure returns code and kind of a message that failed: by the operator's table, else it may go better on another
// route.
func (p receiptPlan) failure(code, status string) (string, channel.ErrorKind) {
	for _, c := range []string{code, status} {
		if kind, known := p.kinds[c]; known && c != "" {
			return c[:min(len(c), 64)], kind
		}
	}
	for _, c := range []string{code, status} {
		if c = harmless(c); c != "" {
			return c, channel.Unavailable
		}
	}
	return "unknown", channel.Unavailable
}
