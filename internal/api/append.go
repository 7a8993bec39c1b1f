package api

import (
	"github.com/dialproof/dialproof/internal/object"
)

// The two answers that nearly all requests get are written without reflection. A test holds them against the encoder
// that writes the others.

// The room for the answer of a start or a check without metadata, in bytes: what is longer grows.
const roomForVerification, roomForCheck = 768, 384

// appendJSON appends the view as the answer's JSON.
func (v *verificationView) appendJSON(b []byte) []byte {
	o := object.Object(append(b, '{'))
	o.Text("id", v.ID)
	o.Text("status", string(v.Status))
	o.Text("to", v.To)
	o.Text("country", v.Country)
	o.TextIf("email", v.Email)
	o.Text("proves", string(v.Proves))
	o.Text("purpose", v.Purpose)
	o.Text("channel", string(v.Channel))
	o.Number("code_length", v.CodeLength)
	o.Time("created_at", v.CreatedAt)
	o.Time("expires_at", v.ExpiresAt)
	o.TimeIf("ended_at", v.EndedAt)
	o.Number("attempts_left", v.AttemptsLeft)
	o.Number("resends_left", v.ResendsLeft)
	o.TimeIf("resend_at", v.ResendAt)
	if n := v.Next; n != nil {
		o.Name("next")
		next := object.Object(append(o, '{'))
		next.Text("channel", string(n.Channel))
		next.Time("at", n.At)
		o = append(next, '}')
	}
	o.Name("deliveries")
	o = append(o, '[')
	for i := range v.Deliveries {
		if i > 0 {
			o = append(o, ',')
		}
		o = v.Deliveries[i].appendJSON(o)
	}
	o = append(o, ']')
	o.Texts("metadata", v.Metadata)
	return append(o, '}')
}

func (d *deliveryView) appendJSON(b []byte) []byte {
	o := object.Object(append(b, '{'))
	o.Text("id", d.ID)
	o.Text("channel", string(d.Channel))
	o.Text("route", d.Route)
	o.Text("status", string(d.Status))
	o.TextIf("reason", d.Reason)
	o.TextIf("error", string(d.Error))
	o.TextIf("error_code", d.ErrorCode)
	if d.Parts != 0 {
		o.Number("parts", d.Parts)
	}
	o.TextIf("price", d.Price)
	o.TextIf("currency", d.Currency)
	o.Time("created_at", d.CreatedAt)
	o.Time("updated_at", d.UpdatedAt)
	return append(o, '}')
}

// appendJSON appends the view as the answer's JSON.
func (v *checkView) appendJSON(b []byte) []byte {
	o := object.Object(append(b, '{'))
	o.Text("id", v.ID)
	o.Text("status", string(v.Status))
	o.Text("result", string(v.Result))
	o.Bool("counted", v.Counted)
	o.Text("to", v.To)
	o.Text("proves", string(v.Proves))
	o.Text("purpose", v.Purpose)
	o.Number("attempts_left", v.AttemptsLeft)
	o.Time("expires_at", v.ExpiresAt)
	o.Texts("metadata", v.Metadata)
	o.TextIf("proof", v.Proof)
	return append(o, '}')
}
