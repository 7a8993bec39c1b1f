package pdu

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Version34 is the interface_version of a bind.
const Version34 = 0x34

// The bits of esm_class that matter here (§5.2.12).
const (
	// ESMTypeMask covers the message type.
	ESMTypeMask = 0x3C
	// ESMReceipt is the type of an SMSC's delivery receipt.
	ESMReceipt = 0x04
	// ESMIntermediate is the type of an intermediate delivery notification.
	ESMIntermediate = 0x20
	// ESMHeader says that the message begins with a user data header.
	ESMHeader = 0x40
)

// Room of the fields as the standard has them, in octets without the closing NUL.
const (
	maxSystemID   = 15
	maxSystemType = 12
	maxRange      = 40
	maxService    = 5
	maxAddress    = 20
	maxTime       = 16
	// MaxShort is the room of short_message.
	MaxShort = 254
	// MaxPayload is the room of a TLV.
	MaxPayload = 0xFFFF
	// maxRead bounds any of the texts when it is read. SMSCs use ids and addresses longer than the standard has.
	maxRead = 255
	// maxWide is what is written where carriers are known to take more than the standard's 8 (password) and 64
	// (message_id).
	maxWide = 64
)

// Bind asks for a session (§4.1.5). It holds the password: never print it.
type Bind struct {
	SystemID   string
	Password   string
	SystemType string
	Version    byte
	TON, NPI   byte
	Range      string
}

func (b *Bind) write(w *writer) {
	w.text(b.SystemID, maxSystemID)
	w.text(b.Password, maxWide)
	w.text(b.SystemType, maxSystemType)
	w.b = append(w.b, b.Version, b.TON, b.NPI)
	w.text(b.Range, maxRange)
}

func (b *Bind) read(r *reader) {
	b.SystemID, b.Password, b.SystemType = r.text(), r.text(), r.text()
	b.Version, b.TON, b.NPI = r.octet(), r.octet(), r.octet()
	b.Range = r.text()
}

// BindResp answers a Bind.
type BindResp struct {
	SystemID string
	TLVs     []TLV
}

func (b *BindResp) write(w *writer) {
	w.text(b.SystemID, maxSystemID)
	w.tlvs(b.TLVs)
}

func (b *BindResp) read(r *reader) {
	b.SystemID = r.text()
	b.TLVs = r.tlvs()
}

// Address is a number or name with its type of number and numbering plan (§5.2.5, §5.2.6).
type Address struct {
	TON, NPI byte
	Value    string
}

// Message is the body of submit_sm and of deliver_sm, which are alike (§4.4.1, §4.6.1).
type Message struct {
	Service      string
	Source, Dest Address
	ESMClass     byte
	Protocol     byte
	Priority     byte
	// Schedule and Validity are times in SMPP's form of 16 characters, or empty (§7.1.1).
	Schedule, Validity string
	Registered         byte
	Replace            byte
	Coding             Coding
	Canned             byte
	// Short is short_message, at most MaxShort octets. It is empty when the text is in a message_payload.
	Short []byte
	TLVs  []TLV
}

func (m *Message) write(w *writer) {
	w.text(m.Service, maxService)
	w.address(m.Source)
	w.address(m.Dest)
	w.b = append(w.b, m.ESMClass, m.Protocol, m.Priority)
	w.text(m.Schedule, maxTime)
	w.text(m.Validity, maxTime)
	w.b = append(w.b, m.Registered, m.Replace, byte(m.Coding), m.Canned, byte(len(m.Short)))
	w.failed = w.failed || len(m.Short) > MaxShort
	w.b = append(w.b, m.Short...)
	w.tlvs(m.TLVs)
}

func (m *Message) read(r *reader) {
	m.Service = r.text()
	m.Source, m.Dest = r.address(), r.address()
	m.ESMClass, m.Protocol, m.Priority = r.octet(), r.octet(), r.octet()
	m.Schedule, m.Validity = r.text(), r.text()
	m.Registered, m.Replace, m.Coding, m.Canned = r.octet(), r.octet(), Coding(r.octet()), r.octet()
	m.Short = bytes.Clone(r.take(int(r.octet())))
	m.TLVs = r.tlvs()
}

// MessageResp answers a Message. A deliver_sm_resp has an empty ID.
type MessageResp struct {
	ID   string
	TLVs []TLV
}

func (m *MessageResp) write(w *writer) {
	w.text(m.ID, maxWide)
	w.tlvs(m.TLVs)
}

func (m *MessageResp) read(r *reader) {
	m.ID = r.text()
	m.TLVs = r.tlvs()
}

// Raw is the body of a command that this package does not know.
type Raw []byte

func (b *Raw) write(w *writer) { w.b = append(w.b, *b...) }
func (b *Raw) read(r *reader)  { *b = bytes.Clone(r.take(len(r.b))) }

// writer appends fields; failed says that one did not fit.
type writer struct {
	b      []byte
	failed bool
}

// text appends a C-octet string of at most most octets.
func (w *writer) text(s string, most int) {
	w.failed = w.failed || len(s) > most || strings.IndexByte(s, 0) >= 0
	w.b = append(append(w.b, s...), 0)
}

func (w *writer) address(a Address) {
	w.b = append(w.b, a.TON, a.NPI)
	w.text(a.Value, maxAddress)
}

func (w *writer) tlvs(list []TLV) {
	for _, t := range list {
		w.failed = w.failed || len(t.Value) > MaxPayload
		w.b = binary.BigEndian.AppendUint16(w.b, uint16(t.Tag))
		w.b = binary.BigEndian.AppendUint16(w.b, uint16(len(t.Value)))
		w.b = append(w.b, t.Value...)
	}
}

// reader takes fields from the front. After failed everything is zero.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || n > len(r.b) {
		r.failed, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) octet() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// text takes a C-octet string.
func (r *reader) text() string {
	n := bytes.IndexByte(r.b, 0)
	if n < 0 || n > maxRead {
		r.failed, r.b = true, nil
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n+1:]
	return s
}

func (r *reader) address() Address {
	return Address{TON: r.octet(), NPI: r.octet(), Value: r.text()}
}

// maxTLVs bounds the parameters of one PDU.
const maxTLVs = 256

// tlvs takes what is left. Fewer octets than a TLV begins with are padding of a careless SMSC and mean nothing.
func (r *reader) tlvs() []TLV {
	var out []TLV
	for len(r.b) >= 4 && !r.failed {
		tag, size := Tag(binary.BigEndian.Uint16(r.b)), int(binary.BigEndian.Uint16(r.b[2:]))
		r.take(4)
		value := r.take(size)
		if r.failed || len(out) == maxTLVs {
			r.failed = true
			return nil
		}
		out = append(out, TLV{tag, bytes.Clone(value)})
	}
	return out
}
