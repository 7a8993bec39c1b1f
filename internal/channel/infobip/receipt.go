package infobip

import (
	"context"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// maxReports bounds the reports of one request. Infobip puts up to 100 in one, unless it is told otherwise.
const maxReports = 1000

// report is what Infobip says of one message. Older routes of Infobip's write smsCount for messageCount.
type report struct {
	ID           string `json:"messageId"`
	Status       status `json:"status"`
	Error        fault  `json:"error"`
	CallbackData string `json:"callbackData"`
	MessageCount int    `json:"messageCount"`
	SMSCount     int    `json:"smsCount"`
	Price        struct {
		PerMessage json.Number `json:"pricePerMessage"`
		Currency   string      `json:"currency"`
	} `json:"price"`
}

// Receipts implements channel.Receiver. Infobip signs nothing: what holds a receipt is the address, which cannot be
// guessed and is checked before this is called, and the token that each report repeats.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	if r.Method != http.MethodPost {
		return nil, rest.Refused(name, "method", "a receipt comes by POST")
	}
	var said struct {
		Results []report `json:"results"`
	}
	if json.Unmarshal(r.Body, &said) != nil {
		return nil, rest.Refused(name, "body", "the receipt cannot be understood")
	}
	if len(said.Results) > maxReports {
		return nil, rest.Refused(name, "body", "the request has too many receipts")
	}
	var out []channel.Receipt
	for _, one := range said.Results {
		if one.ID != "" && (one.Status.GroupID != 0 || one.Status.GroupName != "") {
			receipt := one.receipt()
			receipt.At = r.Now
			out = append(out, receipt)
		}
	}
	if len(out) == 0 {
		return nil, rest.Refused(name, "body", "the receipt names no message or no status")
	}
	return out, nil
}

// receipt returns what a report says.
func (r report) receipt() channel.Receipt {
	out := channel.Receipt{
		Token:      r.CallbackData,
		ProviderID: r.ID,
		Status:     r.Status.news(),
		Parts:      max(r.MessageCount, r.SMSCount, 0),
	}
	out.Price, out.Currency = r.price(out.Parts)
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		out.Code, out.Kind = r.failure()
	}
	return out
}

// The bounds of a price of one part that is believed, in any currency.
const (
	minPrice = 1e-9
	maxPrice = 1e6
)

// price returns what the message cost in all: Infobip says the price of one part, and may write 0.0001 as 1.0E-4.
func (r report) price(parts int) (amount, currency string) {
	text := r.Price.PerMessage.String()
	size, err := r.Price.PerMessage.Float64()
	if err != nil || size < minPrice || size > maxPrice || len(text) > 24 || len(r.Price.Currency) != 3 {
		return "", ""
	}
	each, ok := new(big.Rat).SetString(text) // decimal, as the price is: 3 times 0.01 is 0.03
	if !ok {
		return "", ""
	}
	total := each.Mul(each, new(big.Rat).SetInt64(int64(max(parts, 1))))
	return strings.TrimRight(strings.TrimRight(total.FloatString(12), "0"), "."), r.Price.Currency
}
