package deliver

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"

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

// Address answers where the receipts of a delivery go; empty when the deployment cannot be reached.
func (c *Callbacks) Address(route string, ref, d id.ID) string {
	if c == nil || c.PublicURL == "" {
		return ""
	}
	return c.PublicURL + "/callbacks/" + route + "/" + c.Token(route, ref, d)
}

// Token answers the unguessable part of an address.
func (c *Callbacks) Token(route string, ref, d id.ID) string {
	tag := c.Ring.Lookup([]byte("callback"), []byte(route), ref[:], d[:tokenHalf])
	raw := make([]byte, 0, tokenLen)
	raw = append(append(append(raw, ref[:]...), d[:tokenHalf]...), tag[:tokenTag]...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// read answers what a token names.
func (c *Callbacks) read(route, token string) (ref id.ID, half [tokenHalf]byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != tokenLen {
		return ref, half, false
	}
	copy(ref[:], raw)
	copy(half[:], raw[len(ref):])
	tag := c.Ring.Lookup([]byte("callback"), []byte(route), ref[:], half[:])
	return ref, half, subtle.ConstantTimeCompare(tag[:tokenTag], raw[tokenLen-tokenTag:]) == 1
}

// Callback takes a provider's request. Whoever holds neither the token nor the signature learns nothing: a
// wrong route, token or signature is 404 or 403 without a word.
func (h *Handler) Callback(ctx context.Context, route, token string, r channel.Callback) (status int, contentType string, body []byte) {
	rt := h.Routes.Named(route)
	if rt == nil {
		return http.StatusNotFound, "", nil
	}
	ref, half, ok := h.Callbacks.read(route, token)
	if !ok {
		return http.StatusNotFound, "", nil
	}
	receiver, ok := channel.As[channel.Receiver](rt.Sender)
	if !ok {
		return http.StatusNotFound, "", nil
	}
	r.Now = h.Now()
	receipts, err := receiver.Receipts(ctx, r)
	if err != nil {
		e := channel.AsError(rt.Provider, err)
		h.Log.Warn("a receipt was refused", "route", route, "code", e.Code, "detail", e.Detail)
		h.Metrics.Failed(route, e.Kind)
		return http.StatusForbidden, "", nil
	}
	for _, receipt := range receipts {
		if err := h.Receive(ctx, rt.Name, ref, half, receipt); err != nil {
			h.Log.Error("a receipt could not be recorded", "route", route, "error", err)
			return http.StatusServiceUnavailable, "", nil // the provider will send it again
		}
	}
	if a, ok := channel.As[channel.Answerer](rt.Sender); ok {
		if status, contentType, body, ok := a.Answer(r); ok {
			return status, contentType, body
		}
	}
	return http.StatusNoContent, "", nil
}

// Receive records one receipt of a delivery, which is named by the first half of its id.
func (h *Handler) Receive(ctx context.Context, route string, ref id.ID, half [tokenHalf]byte, r channel.Receipt) error {
	var changed bool
	var kind channel.Kind
	err := h.Store.Update(ctx, ref, func(tx Tx) error {
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
			if changed = note(d, r); changed {
				kind, d.Updated = d.Channel, h.now()
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

// sameMessage tells whether a receipt is about this delivery's message, as far as ids tell. The receipt may
// come before the answer that brings the provider's id.
func sameMessage(d *channel.Delivery, r channel.Receipt) bool {
	return d.ProviderID == "" || r.ProviderID == "" || strings.EqualFold(d.ProviderID, cut(r.ProviderID, 128))
}

// note takes the news of a receipt into a delivery and tells whether there was any.
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
