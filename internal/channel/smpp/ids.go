package smpp

import (
	"math/big"
	"strings"
	"sync"
)

// remembered is how many of the last messages are known by their ids.
const remembered = 8192

// maxNumber bounds an id that is read as a number, in digits.
const maxNumber = 64

// How a receipt's id relates to that of the submit_sm_resp.
const (
	sameForm    = iota
	decimalForm // the receipt has decimal where the answer had hexadecimal
	hexForm     // the receipt has hexadecimal where the answer had decimal
	forms
)

// known is a message of ours.
type known struct {
	// id is what Send answered; token is the message's Token.
	id, token string
}

// ids makes the id of a submit_sm_resp and that of its receipt equal.
//
// With a form given, both are brought into the form of the submit_sm_resp, without leading zeros. With "auto" the
// answer's id stays as it is, and receipts are looked up among the last messages under each relation. Each receipt
// that fits under one relation only is a vote for it; the votes decide about receipts that fit under several, or of
// messages that another node or an earlier run has sent.
type ids struct {
	form string

	mu    sync.Mutex
	by    map[string]*known
	ring  []*known
	at    int
	votes [forms]int
	// width is the length of the ids that submit_sm_resp pads with zeros, 0 when it does not.
	width int
}

func newIDs(form string) *ids {
	return &ids{form: form, by: make(map[string]*known), ring: make([]*known, remembered)}
}

// accepted takes in the id of a submit_sm_resp and answers the id to go by.
func (x *ids) accepted(raw, token string) string {
	id := raw
	switch x.form {
	case "decimal":
		id = convert(raw, 16, 16)
	case "hex":
		id = convert(raw, 10, 10)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.ring[x.at]; old != nil {
		for _, key := range x.keys(old.id) {
			if x.by[key] == old {
				delete(x.by, key)
			}
		}
	}
	k := &known{id: id, token: token}
	x.ring[x.at] = k
	x.at = (x.at + 1) % remembered
	for _, key := range x.keys(id) {
		x.by[key] = k
	}
	x.width = 0
	if strings.HasPrefix(id, "0") {
		x.width = len(id)
	}
	return id
}

// keys returns what a message is looked up by: its id, and with "auto" the id as a number too.
func (x *ids) keys(id string) []string {
	keys := []string{"=" + strings.ToLower(id)}
	if x.form == "auto" {
		if n := convert(id, 16, 16); isNumber(id, 16) {
			keys = append(keys, "x"+n)
		}
		if isNumber(id, 10) {
			keys = append(keys, "d"+convert(id, 10, 10))
		}
	}
	return keys
}

// receipt returns the id that Send answered for the message of a receipt, as far as can be told, and its token if it
// is one of the last messages.
func (x *ids) receipt(raw string) (id, token string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch x.form {
	case "decimal":
		id = convert(raw, 10, 16)
	case "hex":
		id = convert(raw, 16, 10)
	case "auto":
		return x.learn(raw)
	default:
		id = raw
	}
	if k := x.by["="+strings.ToLower(id)]; k != nil {
		return k.id, k.token
	}
	return id, ""
}

// learn looks a receipt's id up under each relation.
func (x *ids) learn(raw string) (id, token string) {
	var fits [forms]*known
	if fits[sameForm] = x.by["="+strings.ToLower(raw)]; fits[sameForm] == nil && isNumber(raw, 16) {
		fits[sameForm] = x.by["x"+convert(raw, 16, 16)]
	}
	if isNumber(raw, 10) {
		fits[decimalForm] = x.by["x"+convert(raw, 10, 16)]
	}
	if isNumber(raw, 16) {
		fits[hexForm] = x.by["d"+convert(raw, 16, 10)]
	}
	var best *known
	relation, count := sameForm, 0
	for form, k := range fits {
		if k == nil {
			continue
		}
		if count++; best == nil || x.votes[form] > x.votes[relation] {
			best, relation = k, form
		}
	}
	if count == 1 {
		x.votes[relation]++
	}
	if best != nil {
		return best.id, best.token
	}
	switch {
	case x.votes[decimalForm] > x.votes[sameForm] && isNumber(raw, 10):
		return pad(convert(raw, 10, 16), x.width), ""
	case x.votes[hexForm] > x.votes[sameForm] && isNumber(raw, 16):
		return pad(convert(raw, 16, 10), x.width), ""
	}
	return raw, ""
}

// isNumber reports whether s is a number in a base, 10 or 16.
func isNumber(s string, base int) bool {
	return s != "" && len(s) <= maxNumber && !strings.ContainsFunc(s, func(r rune) bool {
		letter := (r >= 'a' && r <= 'f') || (r >= 'A' && r <= 'F')
		return (r < '0' || r > '9') && (base == 10 || !letter)
	})
}

// convert writes a number in another base, in lower case and without leading zeros. What is no number stays as it is.
func convert(s string, from, to int) string {
	if !isNumber(s, from) {
		return s
	}
	if from == to {
		if s = strings.ToLower(strings.TrimLeft(s, "0")); s == "" {
			s = "0"
		}
		return s
	}
	n, ok := new(big.Int).SetString(s, from)
	if !ok {
		return s
	}
	return n.Text(to)
}

// pad puts zeros before s up to a width.
func pad(s string, width int) string {
	return strings.Repeat("0", max(0, width-len(s))) + s
}
