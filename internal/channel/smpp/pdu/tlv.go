package pdu

import (
	"bytes"
	"encoding/binary"
)

// Tag names an optional parameter (§5.3.2).
type Tag uint16

// The parameters that are read or written here.
const (
	ReceiptedMessageID Tag = 0x001E
	SARReference       Tag = 0x020C
	SARTotal           Tag = 0x020E
	SARSequence        Tag = 0x020F
	NetworkErrorCode   Tag = 0x0423
	MessagePayload     Tag = 0x0424
	MessageState       Tag = 0x0427
)

// TLV is an optional parameter. Those with tags that nobody knows are kept as they came.
type TLV struct {
	Tag   Tag
	Value []byte
}

// Find returns the value of the first parameter with a tag; ok is false when there is none.
func Find(list []TLV, tag Tag) (value []byte, ok bool) {
	for _, t := range list {
		if t.Tag == tag {
			return t.Value, true
		}
	}
	return nil, false
}

// Text returns a parameter as a text. It may or may not end in NUL: SMSCs do either.
func Text(list []TLV, tag Tag) string {
	value, _ := Find(list, tag)
	if n := bytes.IndexByte(value, 0); n >= 0 {
		value = value[:n]
	}
	return string(value)
}

// SAR returns the parameters that make a message part number of total, both from 1 (§4.4.1, sar_*).
func SAR(reference uint16, total, number byte) []TLV {
	return []TLV{
		{SARReference, binary.BigEndian.AppendUint16(nil, reference)},
		{SARTotal, []byte{total}},
		{SARSequence, []byte{number}},
	}
}
