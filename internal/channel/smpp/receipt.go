package smpp

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/smpp/pdu"
)

// report is what a deliver_sm says about one of our messages.
type report struct {
	id     string
	status channel.Status
	kind   channel.ErrorKind
	code   string
}

// isReceipt reports whether a deliver_sm is a receipt. esm_class says so, or the two parameters that only receipts
// have. The text alone never does: anybody can send a text that looks like a receipt.
func isReceipt(m *pdu.Message) bool {
	if kind := m.ESMClass & pdu.ESMTypeMask; kind != 0 {
		return kind == pdu.ESMReceipt || kind == pdu.ESMIntermediate
	}
	_, id := pdu.Find(m.TLVs, pdu.ReceiptedMessageID)
	_, state := pdu.Find(m.TLVs, pdu.MessageState)
	return id && state
}

// readReceipt reads a receipt by its parameters (SMPP 3.4 §5.3.2.12, §5.3.2.35), and where they are missing by its
// text (appendix B). ok is false when it names no message or no state that is known.
func readReceipt(m *pdu.Message) (r report, ok bool) {
	text := receiptText(m)
	state := strings.ToUpper(field(text, "stat:"))
	if v, has := pdu.Find(m.TLVs, pdu.MessageState); has && len(v) == 1 && stateOf(v[0]) != "" {
		state = stateOf(v[0])
	}
	if r.id = pdu.Text(m.TLVs, pdu.ReceiptedMessageID); r.id == "" {
		r.id = field(text, "id:")
	}
	r.code = errorCode(field(text, "err:"))
	if v, has := pdu.Find(m.TLVs, pdu.NetworkErrorCode); has && len(v) == 3 && r.code == "" {
		r.code = errorCode(strconv.Itoa(int(binary.BigEndian.Uint16(v[1:]))))
	}
	if r.status, r.kind, ok = statusOf(state); r.status == channel.Delivered {
		r.code = ""
	}
	return r, ok && r.id != ""
}

// receiptText returns the text of a receipt. It is ASCII whatever the alphabet says, but for UCS-2.
func receiptText(m *pdu.Message) string {
	b := m.Short
	if payload, has := pdu.Find(m.TLVs, pdu.MessagePayload); has && len(b) == 0 {
		b = payload
	}
	if m.ESMClass&pdu.ESMHeader != 0 {
		b = pdu.SkipHeader(b)
	}
	if m.Coding == pdu.UCS2 {
		return pdu.DecodeUCS2(b)
	}
	return pdu.DecodeLatin1(b)
}

// field returns the word behind a key of a receipt's text, whatever the case of the key. What stands behind "text:"
// is the message itself and not looked at.
func field(text, key string) string {
	lower := strings.ToLower(text)
	if len(lower) != len(text) {
		return "" // no ASCII: not a receipt's form
	}
	if end := keyAt(lower, "text:"); end >= 0 {
		lower = lower[:end]
	}
	at := keyAt(lower, key)
	if at < 0 {
		return ""
	}
	rest := strings.TrimLeft(text[at+len(key):len(lower)], " ")
	word, _, _ := strings.Cut(rest, " ")
	return word
}

// keyAt returns where a key begins a word, -1 for nowhere.
func keyAt(lower, key string) int {
	for from := 0; ; {
		at := strings.Index(lower[from:], key)
		if at < 0 {
			return -1
		}
		at += from
		if at == 0 || lower[at-1] == ' ' {
			return at
		}
		from = at + 1
	}
}

// stateOf returns the word of a message_state (§5.2.28), "" for none.
func stateOf(b byte) string {
	words := []string{"SCHEDULED", "ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD",
		"SKIPPED"}
	if int(b) < len(words) {
		return words[b]
	}
	return ""
}

// statusOf returns our words for a receipt's state (appendix B, table B-2; SCHEDULED and SKIPPED are of SMPP 5.0).
func statusOf(state string) (status channel.Status, kind channel.ErrorKind, ok bool) {
	switch state {
	case "DELIVRD":
		return channel.Delivered, "", true
	case "EXPIRED":
		return channel.Undelivered, channel.Unavailable, true
	case "UNDELIV":
		return channel.Undelivered, "", true
	case "DELETED", "SKIPPED":
		return channel.Failed, channel.Unavailable, true
	case "REJECTD":
		return channel.Failed, channel.Refused, true
	case "ENROUTE", "ACCEPTD":
		return channel.Sent, "", true
	case "SCHEDULED":
		return channel.Taken, "", true
	case "UNKNOWN":
		return channel.Unknown, "", true
	}
	return "", "", false
}

// errorCode keeps a code of somebody else's harmless; nothing but zeros is none.
func errorCode(s string) string {
	switch {
	case strings.Trim(s, "0") == "":
		return ""
	case len(s) > 16 || strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}):
		return "unreadable"
	}
	return s
}
