package pdu

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// wire has PDUs as octets, written down by hand from the tables of SMPP 3.4 §4.
func wire() map[string]struct {
	octets string
	want   PDU
} {
	return map[string]struct {
		octets string
		want   PDU
	}{
		"bind_transceiver (after §3.2.1's example)": {
			"0000002f 00000009 00000000 00000001 534d50503354455354 00 7365637265743038 00 5355424d495431 00 34 01 01 00",
			PDU{
				Command:  BindTransceiver,
				Sequence: 1,
				Body:     &Bind{SystemID: "SMPP3TEST", Password: "secret08", SystemType: "SUBMIT1", Version: 0x34, TON: 1, NPI: 1},
			},
		},
		"bind_transceiver_resp with sc_interface_version": {
			"0000001a 80000009 00000000 00000001 534d5343 00 0210 0001 34",
			PDU{
				Command:  BindTransceiverResp,
				Sequence: 1,
				Body:     &BindResp{SystemID: "SMSC", TLVs: []TLV{{0x0210, []byte{0x34}}}},
			}},
		"bind_transceiver_resp that says no": {"00000010 80000009 0000000e 00000001",
			PDU{Command: BindTransceiverResp, Status: 0x0E, Sequence: 1},
		},
		"submit_sm": {
			"00000041 00000004 00000000 00000002 00 05 00 41636d65 00 01 01 343437373030393030313233 00 00 00 00 00 " +
				"303030303030303030353030303030 52 00 01 00 00 00 02 4869",
			PDU{Command: SubmitSM, Sequence: 2, Body: &Message{
				Source:     Address{5, 0, "Acme"},
				Dest:       Address{1, 1, "447700900123"},
				Validity:   "000000000500000R",
				Registered: 1,
				Short:      []byte("Hi"),
			}},
		},
		"submit_sm_resp": {"00000013 80000004 00000000 00000002 3141 00",
			PDU{Command: SubmitSMResp, Sequence: 2, Body: &MessageResp{ID: "1A"}}},
		"submit_sm_resp, empty": {"00000010 80000004 00000058 00000002",
			PDU{Command: SubmitSMResp, Status: 0x58, Sequence: 2}},
		"deliver_sm with TLVs": {
			"00000033 00000005 00000000 00000007 00 01 01 31 00 00 00 32 00 04 00 00 00 00 00 00 00 00 00 001e 0003 314100 " +
				"0427 0001 02 1400 0000",
			PDU{Command: DeliverSM, Sequence: 7, Body: &Message{
				Source: Address{1, 1, "1"}, Dest: Address{0, 0, "2"}, ESMClass: ESMReceipt, Short: []byte{},
				TLVs: []TLV{{ReceiptedMessageID, []byte("1A\x00")}, {MessageState, []byte{2}}, {0x1400, []byte{}}},
			}},
		},
		"deliver_sm_resp": {"00000011 80000005 00000000 00000007 00",
			PDU{Command: DeliverSMResp, Sequence: 7, Body: &MessageResp{}}},
		"enquire_link": {"00000010 00000015 00000000 7fffffff", PDU{Command: EnquireLink, Sequence: MaxSequence}},
		"unbind_resp":  {"00000010 80000006 00000000 00000003", PDU{Command: UnbindResp, Sequence: 3}},
		"generic_nack": {"00000010 80000000 00000003 00000000", PDU{Command: GenericNack, Status: 3}},
		"something else": {"00000012 00000103 00000000 00000009 cafe",
			PDU{Command: 0x103, Sequence: 9, Body: new(Raw{0xCA, 0xFE})}},
	}
}

func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWire(t *testing.T) {
	t.Parallel()
	for name, c := range wire() {
		b := octets(t, c.octets)
		binary.BigEndian.PutUint32(b, uint32(len(b))) // counting is the machine's work
		got, err := Decode(b)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: decoded %+v %v, want %+v", name, got, err, c.want)
		}
		back, err := c.want.Append([]byte("before"))
		if err != nil || !bytes.Equal(back, append([]byte("before"), b...)) {
			t.Errorf("%s: encoded % x %v, want % x", name, back, err, b)
		}
		fromStream, err := Read(io.MultiReader(bytes.NewReader(b), strings.NewReader("the next")))
		if err != nil || !reflect.DeepEqual(fromStream, c.want) {
			t.Errorf("%s: read %+v %v", name, fromStream, err)
		}
		for n := range len(b) {
			if _, err := Read(bytes.NewReader(b[:n])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: the first %d octets read as %v", name, n, err)
			}
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		octets string
		want   error
	}{
		"nothing":                   {"", ErrFrame},
		"a header cut short":        {"00000008 00000015", ErrFrame},
		"a length below the header": {"0000000f 00000015 00000000 00000001", ErrFrame},
		"a length beyond the data":  {"00000011 00000015 00000000 00000001", ErrFrame},
		"a length of 4 GiB":         {"ffffffff 00000015 00000000 00000001", ErrFrame},
		"an id without an end":      {"00000012 80000004 00000000 00000001 3141", ErrBody},
		"a bind without a password": {"00000012 00000009 00000000 00000001 4100", ErrBody},
		"a submit_sm without body":  {"00000010 00000004 00000000 00000001", ErrBody},
		"short_message too long": {"00000022 00000005 00000000 00000001 00 0000 00 0000 00 000000 00 00 00 00 00 00 " +
			"05 4869", ErrBody},
		"a TLV longer than the PDU": {"00000017 80000004 00000000 00000001 3100 001e 0005 31", ErrBody},
	} {
		b := octets(t, c.octets)
		if errors.Is(c.want, ErrBody) {
			binary.BigEndian.PutUint32(b, uint32(len(b)))
		}
		if got, err := Decode(b); !errors.Is(err, c.want) || (errors.Is(err, ErrBody) && got.Sequence != 1) {
			t.Errorf("%s: %+v %v, want %v", name, got, err, c.want)
		}
	}
	if _, err := Read(strings.NewReader("\xff\xff\xff\xff")); !errors.Is(err, ErrFrame) {
		t.Errorf("a length of 4 GiB is read: %v", err)
	}
}

// TestFields: what does not fit is not written, and what is just as long as its field is.
func TestFields(t *testing.T) {
	t.Parallel()
	s := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct{ fits, not Body }{
		"system_id":        {&Bind{SystemID: s(15)}, &Bind{SystemID: s(16)}},
		"password":         {&Bind{Password: s(64)}, &Bind{Password: s(65)}},
		"system_type":      {&Bind{SystemType: s(12)}, &Bind{SystemType: s(13)}},
		"address_range":    {&Bind{Range: s(40)}, &Bind{Range: s(41)}},
		"service_type":     {&Message{Service: s(5)}, &Message{Service: s(6)}},
		"source_addr":      {&Message{Source: Address{Value: s(20)}}, &Message{Source: Address{Value: s(21)}}},
		"destination_addr": {&Message{Dest: Address{Value: s(20)}}, &Message{Dest: Address{Value: s(21)}}},
		"validity_period":  {&Message{Validity: s(16)}, &Message{Validity: s(17)}},
		"short_message":    {&Message{Short: make([]byte, 254)}, &Message{Short: make([]byte, 255)}},
		"a TLV": {&Message{TLVs: []TLV{{1, make([]byte, 0xFFFF)}}},
			&Message{TLVs: []TLV{{1, make([]byte, 0x10000)}}}},
		"a whole PDU":     {&Message{}, &Message{TLVs: []TLV{{1, make([]byte, 0xFFFF)}, {2, make([]byte, 0xFFFF)}}}},
		"message_id":      {&MessageResp{ID: s(64)}, &MessageResp{ID: s(65)}},
		"a NUL in a text": {&MessageResp{ID: "a"}, &MessageResp{ID: "a\x00b"}},
	} {
		if _, err := (PDU{Body: c.fits}).Append(nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := (PDU{Body: c.not}).Append([]byte("b")); !errors.Is(err, ErrValue) || string(b) != "b" {
			t.Errorf("%s: too long a value gives %d octets, %v", name, len(b), err)
		}
	}
}

// TestRoundTrip: what is written is read as it was, for many PDUs made by chance.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	text := func(most int) string {
		b := make([]byte, r.IntN(most+1))
		for i := range b {
			b[i] = byte(1 + r.IntN(255))
		}
		return string(b)
	}
	raw := func(most int) []byte {
		b := make([]byte, r.IntN(most+1))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	tlvs := func() (out []TLV) {
		for range r.IntN(5) {
			out = append(out, TLV{Tag(r.Uint32()), raw(300)})
		}
		return out
	}
	for range 2000 {
		message := &Message{
			Service:    text(5),
			Source:     Address{byte(r.Uint32()), 1, text(20)},
			Dest:       Address{2, byte(r.Uint32()), text(20)},
			ESMClass:   byte(r.Uint32()),
			Protocol:   3,
			Priority:   4,
			Schedule:   text(16),
			Validity:   text(16),
			Registered: byte(r.Uint32()),
			Replace:    1,
			Coding:     Coding(r.Uint32()),
			Canned:     5,
			Short:      raw(254),
			TLVs:       tlvs(),
		}
		for command, body := range map[Command]Body{
			BindTransceiver:     &Bind{text(15), text(64), text(12), 0x34, 1, 2, text(40)},
			BindTransceiverResp: &BindResp{text(15), tlvs()},
			SubmitSM:            message,
			DeliverSM:           message,
			SubmitSMResp:        &MessageResp{text(64), tlvs()},
			DeliverSMResp:       &MessageResp{text(64), tlvs()},
		} {
			p := PDU{command, r.Uint32(), r.Uint32(), body}
			b, err := p.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := Decode(b); err != nil || !reflect.DeepEqual(got, p) {
				t.Fatalf("%+v %v, want %+v", got, err, p)
			}
		}
	}
}

func TestTLVs(t *testing.T) {
	t.Parallel()
	list := []TLV{{ReceiptedMessageID, []byte("1A\x00")}, {0x1400, []byte("x")}, {0x1400, []byte("y")}}
	if Text(list, ReceiptedMessageID) != "1A" || Text(list, 0x1400) != "x" || Text(list, 0x1401) != "" {
		t.Error("the texts of parameters")
	}
	if _, ok := Find(list, MessageState); ok {
		t.Error("a parameter that is not there")
	}
	if got := SAR(0x1234, 3, 2); !reflect.DeepEqual(got,
		[]TLV{{SARReference, []byte{0x12, 0x34}}, {SARTotal, []byte{3}}, {SARSequence, []byte{2}}}) {
		t.Errorf("%v", got)
	}
	many, err := PDU{Command: SubmitSMResp, Body: &MessageResp{TLVs: make([]TLV, maxTLVs+1)}}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(many); !errors.Is(err, ErrBody) {
		t.Errorf("%d parameters: %v", maxTLVs+1, err)
	}
}

// FuzzDecode: nothing panics; what was read can be written and is then the same, unless a field is longer than what
// may be written.
func FuzzDecode(f *testing.F) {
	for _, c := range wire() {
		b := octets(f, c.octets)
		binary.BigEndian.PutUint32(b, uint32(len(b)))
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		stream, serr := Read(bytes.NewReader(b))
		if err == nil && (serr != nil || !reflect.DeepEqual(stream, p)) {
			t.Fatalf("the stream reads %+v %v, want %+v", stream, serr, p)
		}
		if err != nil {
			return
		}
		out, err := p.Append(nil)
		if err != nil {
			if !errors.Is(err, ErrValue) || len(out) != 0 {
				t.Fatal(err)
			}
			return
		}
		again, err := Decode(out)
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%+v %v, want %+v", again, err, p)
		}
		if m, ok := p.Body.(*Message); ok {
			DecodeGSM(m.Short)
			DecodeUCS2(m.Short)
			SkipHeader(m.Short)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	p := PDU{Command: SubmitSM, Sequence: 2, Body: &Message{
		Source:     Address{5, 0, "Acme"},
		Dest:       Address{1, 1, "447700900123"},
		Validity:   "000000000500000R",
		Registered: 1,
		Short:      []byte("90817263 is your Acme login code."),
	}}
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf, _ = p.Append(buf[:0])
	}
}

func BenchmarkDecode(b *testing.B) {
	p := PDU{Command: DeliverSM, Sequence: 7, Body: &Message{
		Source:   Address{1, 1, "447700900123"},
		Dest:     Address{5, 0, "Acme"},
		ESMClass: ESMReceipt,
		Short: []byte(
			"id:0123456789 sub:001 dlvrd:001 submit date:2611231200 done date:2611231200 stat:DELIVRD err:000 text:",
		),
		TLVs: []TLV{{ReceiptedMessageID, []byte("0123456789\x00")}, {MessageState, []byte{2}}},
	}}
	octets, err := p.Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(octets); err != nil {
			b.Fatal(err)
		}
	}
}
