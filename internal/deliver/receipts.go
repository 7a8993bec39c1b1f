package deliver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
)

// Callbacks makes the addresses that providers send receipts to, and reads them back. An address names one
// delivery and cannot be guessed: providers that do not sign their receipts are held by it.
type Callbacks struct {
	Ring *keyring.Ring
	// PublicURL is the deployment's public address without a slash at the end; empty: no receipts.
	PublicURL string
}

// A token is the parcel's id, the first half of the delivery's, and a tag. It is short because some
// providers take no address over 100 characters.
const (
	tokenHalf = 8
	tokenTag  = 10
	tokenLen  = len(id.ID{}) + tokenHalf + tokenTag
)

// Address returns where the receipts of a delivery go, by its token; empty when the deployment cannot be reached.
func (c *Callbacks) Address(route, token string) string {
	if c == nil || c.PublicURL == "" {
		return ""
	}
	return c.PublicURL + "/callbacks/" + route + "/" + token
}

// Token returns the unguessable part of an address.
func (c *Callbacks) Token(route string, ref, d id.ID) string {
	if c == nil {
		return ""
	}
	raw := append(append(make([]byte, 0, tokenLen), ref[:]...), d[:tokenHalf]...)
	tag := c.tag(route, raw[:len(ref)], raw[len(ref):])
	return base64.RawURLEncoding.EncodeToString(append(raw, tag[:tokenTag]...))
}

// tag returns what only we can make of a parcel and half of a delivery's id.
func (c *Callbacks) tag(route string, ref, half []byte) [16]byte {
	return c.Ring.Lookup([]byte("callback"), []byte(route), ref, half)
}

// read returns what a token names.
func (c *Callbacks) read(route, token string) (ref id.ID, half [tokenHalf]byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != tokenLen {
		return ref, half, false
	}
	copy(ref[:], raw)
	copy(half[:], raw[len(ref):])
	tag := c.tag(route, ref[:], half[:])
	return ref, half, subtle.ConstantTimeCompare(tag[:tokenTag], raw[tokenLen-tokenTag:]) == 1
}

// Fixed returns the address where a route's provider sends all its receipts, for providers whose console takes
// one address and whose messages take none; empty when the deployment cannot be reached.
func (c *Callbacks) Fixed(route string) string {
	if c == nil || c.PublicURL == "" {
		return ""
	}
	return c.Address(route, c.fixed(route))
}

// fixed returns the unguessable part of a route's fixed address.
func (c *Callbacks) fixed(route string) string {
	tag := c.Ring.Lookup([]byte("callbacks"), []byte(route))
	return base64.RawURLEncoding.EncodeToString(tag[:16])
}

// place is what the address of a callback names: a delivery, or with fixed only the route.
type place struct {
	ref   id.ID
	half  [tokenHalf]byte
	fixed bool
}

// locate returns what a token names.
func (c *Callbacks) locate(route, token string) (p place, ok bool) {
	if p.ref, p.half, ok = c.read(route, token); ok {
		return p, true
	}
	p.fixed = subtle.ConstantTimeCompare([]byte(token), []byte(c.fixed(route))) == 1
	return p, p.fixed
}

// Callback takes a provider's request. Whoever holds neither the token nor the signature learns nothing: a
// wrong route, token or signature is 404 or 403 without a word.
func (h *Handler) Callback(ctx context.Context, route, token string,
	r channel.Callback) (status int, contentType string, body []byte) {
	rt := h.Routes.Named(route)
	if rt == nil {
		return http.StatusNotFound, "", nil
	}
	at, ok := h.Callbacks.locate(route, token)
	if !ok {
		return http.StatusNotFound, "", nil
	}
	receiver, ok := channel.As[channel.Receiver](rt.Sender)
	if !ok {
		return http.StatusNotFound, "", nil
	}
	r.Now = h.Now()
	if !at.fixed {
		r.Message = func(ctx context.Context) (channel.Message, bool, error) { return h.again(ctx, rt, at) }
	}
	receipts, err := receiver.Receipts(ctx, r)
	if err != nil {
		e := channel.AsError(rt.Provider, err)
		h.Log.Warn("a receipt was refused", "route", route, "code", e.Code, "detail", e.Detail)
		h.Metrics.Failed(route, e.Kind)
		if e.Kind == channel.Unavailable {
			return http.StatusServiceUnavailable, "", nil // the provider will send it again
		}
		return http.StatusForbidden, "", nil
	}
	for _, receipt := range receipts {
		if err := h.take(ctx, rt.Name, at, receipt); err != nil {
			h.Log.Error("a receipt could not be recorded", "route", route, "error", err)
			return http.StatusServiceUnavailable, "", nil // the provider will send it again
		}
	}
	if a, ok := channel.As[channel.Answerer](rt.Sender); ok {
		if reply, ok := a.Answer(ctx, r); ok {
			return reply.Status, reply.ContentType, reply.Body
		}
	}
	return http.StatusNoContent, "", nil
}

// again returns the message of the delivery that an address names, for a call that asks what to say.
func (h *Handler) again(ctx context.Context, rt *Route, at place) (m channel.Message, ok bool, err error) {
	var d *channel.Delivery
	err = h.Store.Update(ctx, at.ref, id.ID{}, func(tx Tx) error {
		d = nil
		p, err := tx.Parcel(at.ref)
		if err != nil || p == nil {
			return err
		}
		for i := range p.Deliveries {
			if [tokenHalf]byte(p.Deliveries[i].ID[:tokenHalf]) == at.half {
				found := p.Deliveries[i]
				d = &found
			}
		}
		return nil
	})
	if err != nil || d == nil {
		return m, false, err
	}
	c, err := h.Composer.Compose(ctx, at.ref, *d)
	if err != nil || !c.Open {
		return m, false, err
	}
	return h.addressed(rt, at.ref, d.ID, c.Message), true, nil
}

// Report records what a sender with a life of its own has heard.
func (h *Handler) Report(ctx context.Context, route string, r channel.Receipt) error {
	return h.take(ctx, route, place{fixed: true}, r)
}

// take finds what a receipt is about and records it. A token of ours in the receipt goes before the address: some
// providers put the receipts of several messages into one request, which goes to the address of one of them.
func (h *Handler) take(ctx context.Context, route string, at place, r channel.Receipt) error {
	if ref, half, ok := h.Callbacks.read(route, r.Token); ok {
		return h.Receive(ctx, route, ref, half, r)
	}
	switch {
	case !at.fixed:
		return h.Receive(ctx, route, at.ref, at.half, r)
	case r.Token != "":
		return nil // signed, but of no message of ours: another system on the same account
	}
	return h.ReceiveByID(ctx, route, r)
}

// keepSent is how long after a verification's deadline its receipts are still looked for by id.
const keepSent = time.Hour

// maxLate is how many receipts wait at once for what they are about to be written down.
const maxLate = 4096

// lateDelays are the waits before a receipt of an unknown message is tried again: a carrier may report on a
// message before the node that sent it has written its id down.
func lateDelays() []time.Duration {
	return []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}
}

// sentKey names a provider's id on a route. Ids are compared without regard to case, as SMSCs write them in both.
func sentKey(route, providerID string) [16]byte {
	sum := sha256.Sum256([]byte(route + "\x00" + strings.ToLower(cut(providerID, 128))))
	return [16]byte(sum[:16])
}

// correlates reports whether a sender's receipts name messages by the provider's id alone.
func correlates(s channel.Sender) bool {
	c, ok := channel.As[channel.Correlator](s)
	return ok && c.ReceiptsByID()
}

// ReceiveByID records a receipt that names its message by the provider's id. One whose message is not known yet
// waits a little.
func (h *Handler) ReceiveByID(ctx context.Context, route string, r channel.Receipt) error {
	return h.byID(ctx, route, r, 0)
}

func (h *Handler) byID(ctx context.Context, route string, r channel.Receipt, attempt int) error {
	s, ok, err := h.Store.FindSent(ctx, sentKey(route, r.ProviderID))
	if err == nil && ok {
		err = h.Receive(ctx, route, s.Ref, [tokenHalf]byte(s.Delivery[:tokenHalf]), r)
		if err == nil {
			return nil
		}
	}
	delays := lateDelays()
	if attempt >= len(delays) {
		return err
	}
	if h.late.Add(1) > maxLate {
		h.late.Add(-1)
		return err
	}
	ctx = context.WithoutCancel(ctx)
	h.later(delays[attempt], func() {
		defer h.late.Add(-1)
		if err := h.byID(ctx, route, r, attempt+1); err != nil {
			h.Log.Error("a receipt could not be recorded", "route", route, "error", err)
		}
	})
	return nil
}

// Receive records one receipt of a delivery, which is named by the first half of its id.
func (h *Handler) Receive(ctx context.Context, route string, ref id.ID, half [tokenHalf]byte, r channel.Receipt) error {
	var changed bool
	var kind channel.Kind
	err := h.Store.Update(ctx, ref, id.ID{}, func(tx Tx) error {
		changed = false
		p, err := tx.Parcel(ref)
		if err != nil || p == nil {
			return err
		}
		for i := range p.Deliveries {
			d := &p.Deliveries[i]
			if [tokenHalf]byte(d.ID[:tokenHalf]) != half || !sameMessage(d, r) {
				continue
			}
			learned := d.ProviderID == "" && r.ProviderID != ""
			if changed = note(d, r); changed {
				if rt := h.Routes.Named(route); learned && rt != nil && correlates(rt.Sender) {
					tx.PutSent(sentKey(route, r.ProviderID), Sent{Ref: ref, Delivery: d.ID, Until: p.Expires.Add(keepSent)})
				}
				kind, d.Updated = d.Channel, h.now()
				if err := h.follow(tx, p, i); err != nil {
					return err
				}
				tx.PutParcel(p)
			}
		}
		return nil
	})
	if err == nil && changed {
		h.Metrics.Delivery(route, kind, r.Status)
		h.Log.LogAttrs(ctx, slog.LevelDebug, "receipt", slog.String("route", route), slog.String("status", string(r.Status)))
	}
	return err
}

// sameMessage reports whether a receipt is about this delivery's message, as far as ids tell. The receipt may
// come before the answer that brings the provider's id.
func sameMessage(d *channel.Delivery, r channel.Receipt) bool {
	return d.ProviderID == "" || r.ProviderID == "" || strings.EqualFold(d.ProviderID, cut(r.ProviderID, 128))
}

// note takes the news of a receipt into a delivery and reports whether there was any.
func note(d *channel.Delivery, r channel.Receipt) bool {
	next, changed := d.Status.Advance(r.Status)
	if changed {
		d.Status, d.Code, d.Kind = next, cut(r.Code, 64), r.Kind
	}
	if r.Parts > 0 && r.Parts != d.Parts {
		d.Parts, changed = r.Parts, true
	}
	if r.Price != "" && (r.Price != d.Price || r.Currency != d.Currency) {
		d.Price, d.Currency, changed = cut(r.Price, 32), cut(r.Currency, 8), true
	}
	if d.ProviderID == "" && r.ProviderID != "" {
		d.ProviderID, changed = cut(r.ProviderID, 128), true
	}
	return changed
}
