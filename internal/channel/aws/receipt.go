package aws

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// event is what AWS reports of a message, as far as it is read ("Example event data").
type event struct {
	Type       string            `json:"eventType"`
	ID         string            `json:"messageId"`
	Context    map[string]string `json:"context"`
	Parts      int               `json:"totalMessageParts"`
	Price      float64           `json:"totalMessagePrice"`
	CarrierFee float64           `json:"totalCarrierFee"`
}

// Receipts implements channel.Receiver. SNS posts all events of a topic to the route's fixed address.
func (s *sender) Receipts(ctx context.Context, r channel.Callback) ([]channel.Receipt, error) {
	n, e := s.read(r)
	if e != nil {
		return nil, e
	}
	key, ok := s.certs.key(ctx, s.api.HTTP, n.CertURL, r.Now)
	if !ok {
		return nil, &channel.Error{
			Kind:     channel.Unavailable,
			Provider: name,
			Code:     "certificate",
			Detail:   "SNS's certificate cannot be had, so the receipt cannot be checked now",
		}
	}
	if !n.signedBy(key) {
		return nil, rest.Refused(name, "signature", "the receipt's signature is wrong")
	}
	switch n.Type {
	case confirmation:
		return nil, s.confirm(ctx, n)
	case farewell:
		s.log.Warn("the subscription to the topic has ended: there will be no receipts", "route", s.route)
		return nil, nil
	case notification:
		return n.receipts(r)
	}
	return nil, rest.Refused(name, "body", "the receipt is of no known type")
}

// receipts returns what an event says. One without our token is of another system on the same topic.
func (n notice) receipts(r channel.Callback) ([]channel.Receipt, error) {
	var e event
	if json.Unmarshal([]byte(n.Message), &e) != nil {
		return nil, rest.Refused(name, "body", "the event cannot be understood")
	}
	token := e.Context[contextKey]
	if token == "" || e.ID == "" || !strings.HasPrefix(e.Type, "TEXT_") {
		return nil, nil
	}
	out := channel.Receipt{Token: token, ProviderID: e.ID, Status: channel.Taken, Parts: e.Parts, At: r.Now}
	if row, known := eventTable()[e.Type]; known {
		out.Status, out.Kind = row.status, row.kind
	}
	if out.Kind != "" {
		out.Code = strings.TrimPrefix(e.Type, "TEXT_")
	}
	if price := e.price(); price != "" {
		out.Price, out.Currency = price, "USD"
	}
	return []channel.Receipt{out}, nil
}

// price returns what the message cost with the carrier's fee, in US dollars; empty when that is not said.
func (e event) price() string {
	total := e.Price + e.CarrierFee
	if e.Price <= 0 || e.CarrierFee < 0 || total > 1e4 {
		return ""
	}
	return strconv.FormatFloat(math.Round(total*1e6)/1e6, 'f', -1, 64)
}

// eventRow is what one of AWS's events says of a message.
type eventRow struct {
	status channel.Status
	kind   channel.ErrorKind
}

// eventTable has AWS's events of a text message ("Event types for SMS, MMS, and voice"). TEXT_SUCCESSFUL is the
// carrier's word and not the handset's, even where it is the last.
func eventTable() map[string]eventRow {
	return map[string]eventRow{
		"TEXT_PENDING":             {channel.Taken, ""},
		"TEXT_QUEUED":              {channel.Taken, ""},
		"TEXT_SENT":                {channel.Sent, ""},
		"TEXT_SUCCESSFUL":          {channel.Sent, ""},
		"TEXT_DELIVERED":           {channel.Delivered, ""},
		"TEXT_UNKNOWN":             {channel.Unknown, ""}, // no word from the carrier within 72 hours
		"TEXT_INVALID":             {channel.Failed, channel.Rejected},
		"TEXT_INVALID_MESSAGE":     {channel.Failed, channel.Refused},
		"TEXT_UNREACHABLE":         {channel.Undelivered, channel.Unavailable},
		"TEXT_CARRIER_UNREACHABLE": {channel.Undelivered, channel.Unavailable},
		"TEXT_BLOCKED":             {channel.Failed, channel.Rejected},
		"TEXT_CARRIER_BLOCKED":     {channel.Failed, channel.Refused},
		"TEXT_SPAM":                {channel.Failed, channel.Refused},
		"TEXT_TTL_EXPIRED":         {channel.Undelivered, channel.Unavailable},
		"TEXT_PROTECT_BLOCKED":     {channel.Failed, channel.Rejected},
	}
}
