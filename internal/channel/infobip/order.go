package infobip

import (
	"cmp"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// order is what POST /sms/3/messages takes, as far as it is used.
type order struct {
	Messages []letter     `json:"messages"`
	Options  orderOptions `json:"options"`
}

// letter is one message.
type letter struct {
	Sender       string        `json:"sender,omitempty"`
	Destinations []destination `json:"destinations"`
	Content      struct {
		Text string `json:"text"`
	} `json:"content"`
	Options  letterOptions `json:"options"`
	Webhooks *webhooks     `json:"webhooks,omitempty"`
}

// destination is whom a message goes to. The id is ours, so that Infobip refuses a message that it has already.
type destination struct {
	To        string `json:"to"`
	MessageID string `json:"messageId,omitempty"`
}

type letterOptions struct {
	Validity *validity `json:"validityPeriod,omitempty"`
	Regional *regional `json:"regional,omitempty"`
}

type validity struct {
	Amount int    `json:"amount"`
	Unit   string `json:"timeUnit"`
}

type regional struct {
	India *indiaDLT `json:"indiaDlt,omitempty"`
}

// indiaDLT holds the registrations that India asks for. The entity's must be there.
type indiaDLT struct {
	Entity       string `json:"principalEntityId"`
	Template     string `json:"contentTemplateId,omitempty"`
	Telemarketer string `json:"telemarketerId,omitempty"`
}

type webhooks struct {
	Delivery struct {
		URL          string `json:"url"`
		Intermediate bool   `json:"intermediateReport"`
	} `json:"delivery"`
	ContentType string `json:"contentType"`
	// CallbackData comes back with every report.
	CallbackData string `json:"callbackData,omitempty"`
}

type orderOptions struct {
	CountParts bool      `json:"includeSmsCountInResponse"`
	Tracking   *tracking `json:"conversionTracking,omitempty"`
}

type tracking struct {
	Use  bool   `json:"useConversionTracking"`
	Name string `json:"conversionTrackingName"`
}

// order writes a message down as Infobip takes it.
func (s *sender) order(m channel.Message) order {
	l := letter{
		Sender:       rest.Digits(cmp.Or(m.From, s.cfg.Sender)),
		Destinations: []destination{{To: rest.Digits(m.To.E164()), MessageID: m.Delivery}},
	}
	l.Content.Text = m.Text.Body
	if !m.ExpiresAt.IsZero() {
		l.Options.Validity = &validity{Amount: rest.Life(m.ExpiresAt, s.api.Now(), minLife, maxLife), Unit: "SECONDS"}
	}
	if entity := m.Regulatory["dlt_entity_id"]; entity != "" && m.To.Country() == "IN" {
		l.Options.Regional = &regional{India: &indiaDLT{
			Entity: entity, Template: m.Regulatory["dlt_template_id"], Telemarketer: m.Regulatory["dlt_telemarketer_id"],
		}}
	}
	if m.Callback != "" {
		w := &webhooks{ContentType: "application/json", CallbackData: m.Token}
		w.Delivery.URL, w.Delivery.Intermediate = m.Callback, true
		l.Webhooks = w
	}
	o := order{Messages: []letter{l}, Options: orderOptions{CountParts: true}}
	if s.cfg.Conversions {
		o.Options.Tracking = &tracking{Use: true, Name: conversionName}
	}
	return o
}
