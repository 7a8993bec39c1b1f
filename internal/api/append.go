package api

import (
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The two answers that nearly all requests get are written without reflection. A test holds them against the encoder that writes
// the others.

// The room for the answer of a start or a check without metadata, in bytes: what is longer grows.
const roomForVerification, roomForCheck = 768, 384

// object is a JSON object that is being written.
type object []byte

// name begins a member.
func (o *object) name(name string) {
	if b := *o; b[len(b)-1] != '{' {
		*o = append(b, ',')
	}
	*o = append(append(append(*o, '"'), name...), `":`...)
}

func (o *object) text(name, v string) {
	o.name(name)
	*o = appendText(*o, v)
}

// textIf leaves out what is empty.
func (o *object) textIf(name, v string) {
	if v != "" {
		o.text(name, v)
	}
}

func (o *object) number(name string, v int) {
	o.name(name)
	*o = strconv.AppendInt(*o, int64(v), 10)
}

func (o *object) time(name string, t time.Time) {
	o.name(name)
	*o = append(t.AppendFormat(append(*o, '"'), time.RFC3339Nano), '"')
}

// timeIf leaves out the zero time.
func (o *object) timeIf(name string, t time.Time) {
	if !t.IsZero() {
		o.time(name, t)
	}
}

// texts writes an object of strings, its names in order.
func (o *object) texts(name string, m map[string]string) {
	o.name(name)
	b := append(*o, '{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(appendText(b, k), ':'), m[k])
	}
	*o = append(b, '}')
}

// sortedKeys answers the keys of a map; most have none.
func sortedKeys(m map[string]string) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// appendText writes a string. What we answer is UTF-8: the door refuses the rest.
func appendText(b []byte, v string) []byte {
	b, _ = jsontext.AppendQuote(b, v) // of bytes that are not, it writes U+FFFD
	return b
}

// appendJSON appends the view as the answer's JSON.
func (v *verificationView) appendJSON(b []byte) []byte {
	o := object(append(b, '{'))
	o.text("id", v.ID)
	o.text("status", string(v.Status))
	o.text("to", v.To)
	o.text("country", v.Country)
	o.textIf("email", v.Email)
	o.text("proves", string(v.Proves))
	o.text("purpose", v.Purpose)
	o.text("channel", string(v.Channel))
	o.number("code_length", v.CodeLength)
	o.time("created_at", v.CreatedAt)
	o.time("expires_at", v.ExpiresAt)
	o.timeIf("ended_at", v.EndedAt)
	o.number("attempts_left", v.AttemptsLeft)
	o.number("resends_left", v.ResendsLeft)
	o.timeIf("resend_at", v.ResendAt)
	if n := v.Next; n != nil {
		o.name("next")
		next := object(append(o, '{'))
		next.text("channel", string(n.Channel))
		next.time("at", n.At)
		o = append(next, '}')
	}
	o.name("deliveries")
	o = append(o, '[')
	for i := range v.Deliveries {
		if i > 0 {
			o = append(o, ',')
		}
		o = v.Deliveries[i].appendJSON(o)
	}
	o = append(o, ']')
	o.texts("metadata", v.Metadata)
	return append(o, '}')
}

func (d *deliveryView) appendJSON(b []byte) []byte {
	o := object(append(b, '{'))
	o.text("id", d.ID)
	o.text("channel", string(d.Channel))
	o.text("route", d.Route)
	o.text("status", string(d.Status))
	o.textIf("reason", d.Reason)
	o.textIf("error", string(d.Error))
	o.textIf("error_code", d.ErrorCode)
	if d.Parts != 0 {
		o.number("parts", d.Parts)
	}
	o.textIf("price", d.Price)
	o.textIf("currency", d.Currency)
	o.time("created_at", d.CreatedAt)
	o.time("updated_at", d.UpdatedAt)
	return append(o, '}')
}

// appendJSON appends the view as the answer's JSON.
func (v *checkView) appendJSON(b []byte) []byte {
	o := object(append(b, '{'))
	o.text("id", v.ID)
	o.text("status", string(v.Status))
	o.text("result", string(v.Result))
	o.text("to", v.To)
	o.text("proves", string(v.Proves))
	o.text("purpose", v.Purpose)
	o.number("attempts_left", v.AttemptsLeft)
	o.time("expires_at", v.ExpiresAt)
	o.texts("metadata", v.Metadata)
	o.textIf("proof", v.Proof)
	return append(o, '}')
}
