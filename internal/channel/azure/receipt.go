package azure

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// The events that are read.
const (
	reportEvent     = "Microsoft.Communication.SMSDeliveryReportReceived"
	validationEvent = "Microsoft.EventGrid.SubscriptionValidationEvent"
)

// The bounds of what Event Grid sends: events in one request, and the characters of a validation code.
const (
	maxEvents = 1000
	maxCode   = 512
)

// event is one event of Event Grid's own schema.
type event struct {
	Type string `json:"eventType"`
	Data struct {
		MessageID string `json:"messageId"`
		Status    string `json:"deliveryStatus"`
		Details   string `json:"deliveryStatusDetails"`
		Tag       string `json:"tag"`
		Attempts  []struct {
			Succeeded int `json:"segmentsSucceeded"`
			Failed    int `json:"segmentsFailed"`
		} `json:"deliveryAttempts"`
		ValidationCode string `json:"validationCode"`
	} `json:"data"`
}

// events reads a request of Event Grid's.
func events(r channel.Callback) ([]event, *channel.Error) {
	if r.Method != http.MethodPost {
		return nil, rest.Refused(name, "method", "events come by POST")
	}
	var all []event
	if json.Unmarshal(r.Body, &all) != nil || len(all) == 0 {
		return nil, rest.Refused(name, "body", "the request is no list of events: choose the Event Grid schema")
	}
	if len(all) > maxEvents {
		return nil, rest.Refused(name, "body", "the request has too many events")
	}
	return all, nil
}

// Receipts implements channel.Receiver. Event Grid signs nothing: what holds is the address, which cannot be guessed
// and is checked before this is called, and the tag, which is the message's token. A report without a tag is of a
// message that another program has sent over the same resource.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	all, refusal := events(r)
	if refusal != nil {
		return nil, refusal
	}
	var out []channel.Receipt
	for _, e := range all {
		if e.Type != reportEvent || e.Data.Tag == "" || e.Data.MessageID == "" || e.Data.Status == "" {
			continue
		}
		receipt := e.receipt()
		receipt.At = r.Now
		out = append(out, receipt)
	}
	return out, nil
}

// receipt returns what a report says.
func (e event) receipt() channel.Receipt {
	out := channel.Receipt{Token: e.Data.Tag, ProviderID: e.Data.MessageID, Status: channel.Taken}
	for _, a := range e.Data.Attempts {
		if a.Succeeded >= 0 && a.Failed >= 0 {
			out.Parts = max(out.Parts, a.Succeeded+a.Failed)
		}
	}
	switch e.Data.Status {
	case "Delivered":
		out.Status = channel.Delivered
	case "Failed":
		out.Status = channel.Undelivered
		if out.Code, out.Kind = failure(e.Data.Details); out.Code == noReports {
			out.Status, out.Code, out.Kind = channel.Sent, "", ""
		}
	}
	return out
}

// Answer implements channel.Answerer: it repeats the code by which Event Grid proves an address before it uses it.
func (s *sender) Answer(_ context.Context, r channel.Callback) (channel.Reply, bool) {
	all, refusal := events(r)
	if refusal != nil {
		return channel.Reply{}, false
	}
	for _, e := range all {
		if e.Type != validationEvent || e.Data.ValidationCode == "" || len(e.Data.ValidationCode) > maxCode {
			continue
		}
		body, err := json.Marshal(map[string]string{"validationResponse": e.Data.ValidationCode})
		if err != nil {
			return channel.Reply{}, false
		}
		return channel.Reply{Status: http.StatusOK, ContentType: "application/json", Body: body}, true
	}
	return channel.Reply{}, false
}
