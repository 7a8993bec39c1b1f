// Package pdu writes and reads the units of SMPP 3.4, as far as a client that sends short messages needs them.
//
// It is not a client: it knows no connection, no window and no sequence. It is lenient with what it reads where
// that is harmless (unknown parameters are kept, texts may be longer than the standard says) and strict with what
// it writes. Every length is bounded.
package pdu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Command is a command_id (SMPP 3.4 §5.1.2.1). A response has the highest bit set.
type Command uint32

// The commands that this package knows the bodies of.
const (
	BindReceiver        Command = 0x00000001
	BindTransmitter     Command = 0x00000002
	SubmitSM            Command = 0x00000004
	DeliverSM           Command = 0x00000005
	Unbind              Command = 0x00000006
	BindTransceiver     Command = 0x00000009
	EnquireLink         Command = 0x00000015
	AlertNotification   Command = 0x00000102
	GenericNack         Command = 0x80000000
	BindReceiverResp    Command = 0x80000001
	BindTransmitterResp Command = 0x80000002
	SubmitSMResp        Command = 0x80000004
	DeliverSMResp       Command = 0x80000005
	UnbindResp          Command = 0x80000006
	BindTransceiverResp Command = 0x80000009
	EnquireLinkResp     Command = 0x80000015
)

// IsResponse reports whether c answers a request.
func (c Command) IsResponse() bool { return c&GenericNack != 0 }

// Response returns the command that answers c.
func (c Command) Response() Command { return c | GenericNack }

// String returns the command_id in hexadecimal, "0x80000004".
func (c Command) String() string { return fmt.Sprintf("%#08x", uint32(c)) }

// Bounds of a PDU, in octets.
const (
	// headerSize is command_length, command_id, command_status and sequence_number (§3.2).
	headerSize = 16
	// MaxSize bounds a whole PDU: a message_payload of 64 KiB and everything around it.
	MaxSize = 72 << 10
)

// MaxSequence is the highest sequence_number; the lowest is 1 (§5.1.4).
const MaxSequence = 0x7FFFFFFF

// PDU is one unit.
type PDU struct {
	Command Command
	// Status is the command_status: 0 in requests and in answers that say yes.
	Status   uint32
	Sequence uint32
	// Body is nil for a command without one, and for a response that carries none because it says no.
	Body Body
}

// Body is what follows the header: *Bind, *BindResp, *Message, *MessageResp or Raw.
type Body interface {
	write(*writer)
	read(*reader)
}

// The errors of this package. ErrFrame leaves the stream without a beginning and an end: the connection is lost.
// After ErrBody the next PDU can be read.
var (
	ErrFrame = errors.New("pdu: the length is out of bounds")
	ErrBody  = errors.New("pdu: the body is malformed")
	ErrValue = errors.New("pdu: a value does not fit its field")
)

// bodyOf returns an empty body for a command; nil when it has none. What is not known is kept Raw.
func bodyOf(c Command) Body {
	switch c {
	case BindReceiver, BindTransmitter, BindTransceiver:
		return &Bind{}
	case BindReceiverResp, BindTransmitterResp, BindTransceiverResp:
		return &BindResp{}
	case SubmitSM, DeliverSM:
		return &Message{}
	case SubmitSMResp, DeliverSMResp:
		return &MessageResp{}
	case Unbind, UnbindResp, EnquireLink, EnquireLinkResp, GenericNack:
		return nil
	default:
		return new(Raw)
	}
}

// Append writes p behind b. It answers ErrValue, and b as it was, when a value is too long for its field.
func (p PDU) Append(b []byte) ([]byte, error) {
	w := &writer{b: append(b, make([]byte, headerSize)...)}
	if p.Body != nil {
		p.Body.write(w)
	}
	size := len(w.b) - len(b)
	if w.failed || size > MaxSize {
		return b, ErrValue
	}
	head := w.b[len(b):]
	binary.BigEndian.PutUint32(head[0:], uint32(size))
	binary.BigEndian.PutUint32(head[4:], uint32(p.Command))
	binary.BigEndian.PutUint32(head[8:], p.Status)
	binary.BigEndian.PutUint32(head[12:], p.Sequence)
	return w.b, nil
}

// Decode reads one whole PDU. With ErrBody the header in the answer is still true.
func Decode(b []byte) (PDU, error) {
	if len(b) < headerSize || len(b) > MaxSize || binary.BigEndian.Uint32(b) != uint32(len(b)) {
		return PDU{}, ErrFrame
	}
	p := PDU{
		Command:  Command(binary.BigEndian.Uint32(b[4:])),
		Status:   binary.BigEndian.Uint32(b[8:]),
		Sequence: binary.BigEndian.Uint32(b[12:]),
	}
	rest := b[headerSize:]
	body := bodyOf(p.Command)
	if body == nil || (len(rest) == 0 && p.Command.IsResponse()) {
		return p, nil // what stands behind a command without a body means nothing
	}
	r := &reader{b: rest}
	body.read(r)
	if r.failed {
		return p, ErrBody
	}
	p.Body = body
	return p, nil
}

// Read reads one PDU from a stream. Errors other than ErrBody end the stream.
func Read(from io.Reader) (PDU, error) {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return PDU{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < headerSize || size > MaxSize {
		return PDU{}, ErrFrame
	}
	b := make([]byte, size)
	copy(b, head[:])
	if _, err := io.ReadFull(from, b[len(head):]); err != nil {
		return PDU{}, err
	}
	return Decode(b)
}
