package twilio

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
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
		return channel.Accepted{}, &channel.Error{Kind: channel.Refused, Provider: name, Code: "no_sender", Detail: "the route has neither a sender nor a messaging_service_sid"}
	}
	if s.cfg.MessagingServiceSID != "" {
		form.Set("MessagingServiceSid", s.cfg.MessagingServiceSID)
	}
	if m.Callback != "" {
		form.Set("StatusCallback", m.Callback)
	}
	if !m.ExpiresAt.IsZero() {
		left := int(m.ExpiresAt.Sub(s.now()) / time.Second)
		form.Set("ValidityPeriod", strconv.Itoa(min(max(left, minValidity), maxValidity)))
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
	a, err := s.do(ctx, http.MethodPost, "/Messages.json", form)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a)
}

// judge reads the answer to a message.
func (s *sender) judge(a channel.Answer) (channel.Accepted, error) {
	if a.Status < 200 || a.Status > 299 {
		return channel.Accepted{}, s.refused(a)
	}
	var m message
	if a.JSON(&m) != nil || m.SID == "" {
		return channel.Accepted{}, &channel.Error{Kind: channel.MaybeSent, Provider: name, Code: "answer", Detail: "the answer has no message id"}
	}
	if m.ErrorCode != nil && *m.ErrorCode != 0 {
		return channel.Accepted{}, coded(strconv.Itoa(*m.ErrorCode), channel.Refused)
	}
	out := channel.Accepted{ID: m.SID, Status: statusOf(m.Status)}
	if out.Status == channel.Failed || out.Status == channel.Undelivered {
		return channel.Accepted{}, &channel.Error{Kind: channel.Unavailable, Provider: name, Code: "failed", Detail: "the message failed at once, for no reason that Twilio gives"}
	}
	out.Parts, _ = strconv.Atoi(m.NumSegments)
	if m.Price != nil {
		out.Price, out.Currency = strings.TrimPrefix(*m.Price, "-"), m.PriceUnit
	}
	return out, nil
}

// refused judges an answer that is no yes. What Twilio answers with 5xx was not taken, whatever its code.
func (s *sender) refused(a channel.Answer) *channel.Error {
	e := channel.StatusError(name, a, s.now())
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

// statusOf answers our word for one of Twilio's statuses; the unknown one says nothing new.
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
