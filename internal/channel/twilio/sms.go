package twilio

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// message is Twilio's answer, as far as it is read.
type message struct {
	SID         string  `json:"sid"`
	Status      string  `json:"status"`
	NumSegments string  `json:"num_segments"`
	Price       *string `json:"price"`
	PriceUnit   string  `json:"price_unit"`
	ErrorCode   *int    `json:"error_code"`
}

// refusal is Twilio's error, as far as it is read.
type refusal struct {
	Code json.Number `json:"code"`
}

// sms sends an SMS.
func (s *sender) sms(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	form := url.Values{"To": {m.To.E164()}, "Body": {m.Text.Body}}
	switch {
	case m.From != "":
		form.Set("From", m.From)
	case s.cfg.MessagingServiceSID != "":
	default:
		return channel.Accepted{}, rest.NoSender(name, "a messaging_service_sid")
	}
	if s.cfg.MessagingServiceSID != "" {
		form.Set("MessagingServiceSid", s.cfg.MessagingServiceSID)
	}
	if m.Callback != "" {
		form.Set("StatusCallback", m.Callback)
	}
	if !m.ExpiresAt.IsZero() {
		form.Set("ValidityPeriod", strconv.Itoa(rest.Life(m.ExpiresAt, s.api.Now(), minValidity, maxValidity)))
	}
	if s.cfg.DiscardContent {
		form.Set("ContentRetention", "discard")
	}
	if s.cfg.ObfuscateNumbers {
		form.Set("AddressRetention", "obfuscate")
	}
	if s.cfg.RiskCheck != "" {
		form.Set("RiskCheck", s.cfg.RiskCheck)
	}
	form.Set("ProvideFeedback", "true")
	a, err := s.api.Form(ctx, http.MethodPost, s.path("/Messages.json"), form)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a)
}

// judge reads the answer to a message.
func (s *sender) judge(a channel.Answer) (channel.Accepted, error) {
	if !rest.Good(a) {
		return channel.Accepted{}, s.refused(a)
	}
	var m message
	if a.JSON(&m) != nil || m.SID == "" {
		return channel.Accepted{}, rest.NoID(name)
	}
	if m.ErrorCode != nil && *m.ErrorCode != 0 {
		return channel.Accepted{}, coded(strconv.Itoa(*m.ErrorCode), channel.Refused)
	}
	out := channel.Accepted{ID: m.SID, Status: statusOf(m.Status)}
	if out.Status == channel.Failed || out.Status == channel.Undelivered {
		return channel.Accepted{}, rest.Means(channel.Unavailable, "the message failed at once, for no reason that "+
			"Twilio gives").Error(name, "failed")
	}
	out.Parts, _ = strconv.Atoi(m.NumSegments)
	if m.Price != nil {
		out.Price, out.Currency = strings.TrimPrefix(*m.Price, "-"), m.PriceUnit
	}
	return out, nil
}

// refused judges an answer that is no yes. What Twilio answers with 5xx was not taken, whatever its code.
func (s *sender) refused(a channel.Answer) *channel.Error {
	e := s.api.Status(a)
	var r refusal
	if a.JSON(&r) != nil || r.Code == "" || e.Kind == channel.Unavailable || e.Kind == channel.MaybeSent {
		return e
	}
	known := coded(r.Code.String(), e.Kind)
	known.RetryAfter = e.RetryAfter
	if e.Kind == channel.Throttled {
		known.Kind = channel.Throttled
	}
	return known
}

// statusOf returns our word for one of Twilio's statuses; the unknown one says nothing new.
func statusOf(s string) channel.Status {
	switch s {
	case "sent":
		return channel.Sent
	case "delivered", "read":
		return channel.Delivered
	case "undelivered", "partially_delivered":
		return channel.Undelivered
	case "failed", "canceled":
		return channel.Failed
	}
	return channel.Taken
}
