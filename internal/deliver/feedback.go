package deliver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
)

// Reporting of conversions to providers is a courtesy: it is bounded, never waited for, and never tried again.
const (
	maxReports = 64
	reportTime = 10 * time.Second
)

// Approved is told that the code of a parcel was typed. It does not block: providers that learn from conversions are
// told in the background.
func (h *Handler) Approved(ref id.ID) {
	if h.Routes.Conversions != nil {
		h.Routes.Conversions.Typed(ref)
	}
	learns := func(r *Route) bool { _, ok := channel.As[channel.Feedback](r.Sender); return ok }
	if !slices.ContainsFunc(h.Routes.All(), learns) {
		return
	}
	if h.reports.Add(1) > maxReports {
		h.reports.Add(-1)
		return
	}
	go func() {
		defer h.reports.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), reportTime) //nolint:forbidigo // the check has been answered
		defer cancel()
		if err := h.report(ctx, ref); err != nil {
			h.Log.Warn("a conversion was not reported", "error", err)
		}
	}()
}

// report tells the provider of the newest message of a parcel that its code was typed.
func (h *Handler) report(ctx context.Context, ref id.ID) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	var last channel.Delivery
	err = h.Store.Update(ctx, ref, id.ID{}, func(tx Tx) error {
		last = channel.Delivery{}
		p, err := tx.Parcel(ref)
		if err == nil && p != nil && len(p.Deliveries) > 0 {
			last = p.Deliveries[len(p.Deliveries)-1]
		}
		return err
	})
	if err != nil || last.ProviderID == "" {
		return err
	}
	rt := h.Routes.Named(last.Route)
	if rt == nil {
		return nil
	}
	f, ok := channel.As[channel.Feedback](rt.Sender)
	if !ok {
		return nil
	}
	to, err := h.Composer.Number(ctx, ref)
	if err != nil || to.IsZero() {
		return err
	}
	return f.Converted(ctx, last.ProviderID, to, true)
}
