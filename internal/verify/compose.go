package verify

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
)

// Composer makes the messages that deliveries carry. deliver asks it by job, so that the code exists only
// while it is on its way out.
type Composer struct {
	Service *Service
	Apps    interface {
		Application(app id.ID) (application.Application, error)
	}
}

// Compose returns the message that a delivery of a verification carries, and whether it goes to test routes only.
// open is false when there is nothing left to send for: the verification is final or past its deadline.
func (c Composer) Compose(ctx context.Context, ref id.ID,
	d channel.Delivery) (m channel.Message, test, open bool, err error) {
	v, p, err := c.load(ctx, ref)
	if err != nil || v == nil || v.At(c.Service.Now()) != Pending {
		return channel.Message{}, false, false, err
	}
	app, err := c.Apps.Application(v.App)
	if err != nil {
		return channel.Message{}, false, false, err
	}
	to, err := p.number()
	if err != nil {
		return channel.Message{}, false, false, err
	}
	m, err = c.Service.message(v, p, to, &app, d.Channel, c.Service.Now())
	return m, v.Spec.Test, err == nil, err
}

// Number returns whom a verification is for; the zero number when that is forgotten.
func (c Composer) Number(ctx context.Context, ref id.ID) (phone.Number, error) {
	_, p, err := c.load(ctx, ref)
	if err != nil || p == nil {
		return phone.Number{}, err
	}
	return p.number()
}

// load returns a verification with what is sealed of it.
func (c Composer) load(ctx context.Context, ref id.ID) (*Verification, *Private, error) {
	v, err := c.Service.Store.Find(ctx, ref)
	if err != nil || v == nil || len(v.Sealed) == 0 {
		return nil, nil, err
	}
	p, err := c.Service.unseal(v)
	return v, p, err
}

// message renders the message of a verification to its number for a channel.
func (s *Service) message(
	v *Verification, p *Private, to phone.Number, app *application.Application, kind channel.Kind, now time.Time,
) (channel.Message, error) {
	code, err := s.code(v, p)
	if err != nil {
		return channel.Message{}, err
	}
	r := message.Request{
		Purpose: v.Spec.Purpose, Locale: v.Spec.Locale, Country: v.Spec.Country, Brand: app.Brand, Code: code,
		ExpiresIn: v.Expires.Sub(now).Round(time.Minute), Transaction: p.Transaction, Trailer: v.Spec.Trailer,
		Templates: app.Policy.Templates,
	}
	m := channel.Message{
		Channel:   kind,
		To:        to,
		Code:      code,
		Brand:     app.Brand,
		Purpose:   v.Spec.Purpose,
		Locale:    message.Match(v.Spec.Locale, v.Spec.Country),
		ExpiresAt: v.Expires,
	}
	switch kind {
	case channel.Voice:
		m.Spoken, err = message.Speak(r)
		return m, err
	case channel.Email:
		if err := needsEmail(kind, p.Email); err != nil {
			return channel.Message{}, err
		}
		m.Email = p.Email
		r.Trailer = message.Trailer{} // what a browser looks for in an SMS
	case channel.SMS, channel.WhatsApp, channel.Telegram:
	}
	m.Text, err = message.Render(r)
	return m, err
}
