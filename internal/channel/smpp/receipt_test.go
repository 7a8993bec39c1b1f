package smpp

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/channel/smpp/pdu"
)

// deliver makes a deliver_sm.
func deliver(class byte, text string, tlvs ...pdu.TLV) *pdu.Message {
	return &pdu.Message{ESMClass: class, Short: []byte(text), TLVs: tlvs}
}

func tlv(tag pdu.Tag, value string) pdu.TLV { return pdu.TLV{Tag: tag, Value: []byte(value)} }

const usualText = "id:1A2B sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 " +
	"text:Hello"

func TestReceipts(t *testing.T) {
	t.Parallel()
	delivered := report{id: "1A2B", status: channel.Delivered}
	for name, c := range map[string]struct {
		in   *pdu.Message
		want report
		none bool // no receipt, or one that says nothing
	}{
		"the usual text": {in: deliver(4, usualText), want: delivered},
		"capitals": {in: deliver(4, "Id:1A2B Sub:001 Dlvrd:001 Submit Date:2611231200 Done "+
			"Date:2611231201 Stat:delivrd Err:000 Text:"), want: delivered},
		"only what is needed": {in: deliver(4, "stat:DELIVRD id:1A2B"), want: delivered},
		"spaces behind keys":  {in: deliver(4, "id: 1A2B stat:  DELIVRD err: 000"), want: delivered},
		"an intermediate one": {in: deliver(0x20, "id:1A2B stat:ENROUTE err:000"),
			want: report{id: "1A2B", status: channel.Sent}},
		"in UCS-2": {in: &pdu.Message{ESMClass: 4, Coding: pdu.UCS2, Short: pdu.EncodeUCS2(usualText)},
			want: delivered},
		"in a message_payload": {in: deliver(4, "", tlv(pdu.MessagePayload, usualText)), want: delivered},
		"behind a header":      {in: deliver(0x44, "\x05\x00\x03\x01\x01\x01"+usualText), want: delivered},
		"by parameters": {in: deliver(4, "", tlv(pdu.ReceiptedMessageID, "1A2B\x00"),
			tlv(pdu.MessageState, "\x02")), want: delivered},
		"by parameters, no class": {in: deliver(0, "", tlv(pdu.ReceiptedMessageID, "1A2B"), tlv(pdu.MessageState, "\x02")),
			want: delivered},
		"parameters before text": {in: deliver(4, strings.Replace(usualText, "1A2B", "6699", 1),
			tlv(pdu.ReceiptedMessageID, "1A2B"), tlv(pdu.MessageState, "\x05")),
			want: report{id: "1A2B", status: channel.Undelivered}},
		"a state of nobody": {in: deliver(4, usualText, tlv(pdu.MessageState, "\x63")), want: delivered},
		"a state too long":  {in: deliver(4, usualText, tlv(pdu.MessageState, "\x05\x05")), want: delivered},
		"an error": {in: deliver(4, "id:1A2B stat:UNDELIV err:0a1 text:"),
			want: report{id: "1A2B", status: channel.Undelivered, code: "0a1"}},
		"an error of the network": {in: deliver(4, "id:1A2B stat:UNDELIV err:000",
			tlv(pdu.NetworkErrorCode, "\x03\x00\x1b")), want: report{id: "1A2B", status: channel.Undelivered, code: "27"}},
		"an error with a number": {in: deliver(4, "id:1A2B stat:UNDELIV err:+447700900123"),
			want: report{id: "1A2B", status: channel.Undelivered, code: "unreadable"}},
		"a status in the message": {in: deliver(4, "id:1A2B stat:UNDELIV err:001 text:id:9 stat:DELIVRD"),
			want: report{id: "1A2B", status: channel.Undelivered, code: "001"}},
		"id within another word": {in: deliver(4, "msgid:9 id:1A2B stat:DELIVRD"), want: delivered},
		"no id":                  {in: deliver(4, "stat:DELIVRD err:000"), none: true},
		"no status":              {in: deliver(4, "id:1A2B err:000"), none: true},
		"a new status":           {in: deliver(4, "id:1A2B stat:PONDERS"), none: true},
		"nothing":                {in: deliver(4, ""), none: true},
		"only the message":       {in: deliver(4, "text:id:1A2B stat:DELIVRD"), none: true},
		"a person who forges":    {in: deliver(0, usualText), none: true},
		"a person with a header": {in: deliver(0x40, usualText), none: true},
		"a handset's own word": {in: deliver(8, usualText, tlv(pdu.ReceiptedMessageID, "1A2B"),
			tlv(pdu.MessageState, "\x02")), none: true},
		"an id, no state": {in: deliver(0, usualText, tlv(pdu.ReceiptedMessageID, "1A2B")), none: true},
	} {
		got, ok := readReceipt(c.in)
		ok = ok && isReceipt(c.in)
		if ok == c.none || (ok && got != c.want) {
			t.Errorf("%s: %+v %v, want %+v", name, got, ok, c.want)
		}
	}
}

// TestStates: every state that testdata names, as a word and as the number of its place (SMPP 5.0 §4.7.15).
func TestStates(t *testing.T) {
	t.Parallel()
	rows, err := channeltest.ReadNews(os.DirFS("testdata"))
	if err != nil || len(rows) != 10 {
		t.Fatal(len(rows), err)
	}
	for i, row := range rows {
		word, ok := readReceipt(deliver(4, "id:1 stat:"+row.Word))
		number, ok2 := readReceipt(deliver(4, "", tlv(pdu.ReceiptedMessageID, "1"), tlv(pdu.MessageState, string(rune(i)))))
		if !ok || !ok2 || word.status != row.Status || number != word {
			t.Errorf("%s: %+v and by number %+v, want %s", row.Word, word, number, row.Status)
		}
	}
}

// TestAcknowledged: the SMSC hears that we have a receipt when the sink has it, and not before. Meanwhile all else goes
// on.
func TestAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		centre := &smsc{receipts: true}
		r := inside(t, settings("smpp.example.com:2775"), centre)
		r.stop()
		ctx, cancel := context.WithCancel(t.Context())
		gate := make(chan struct{})
		got := make(chan channel.Receipt, 10)
		var all sync.WaitGroup
		all.Go(func() { r.Run(ctx, func(x channel.Receipt) { <-gate; got <- x }) })
		a := r.takes(t)
		synctest.Wait()
		if len(centre.all(pdu.DeliverSMResp)) != 0 {
			t.Fatal("the receipt is acknowledged before the sink has it")
		}
		r.takes(t) // messages go on
		close(gate)
		synctest.Wait()
		acks := centre.all(pdu.DeliverSMResp)
		if len(acks) != 2 || acks[0].Status != 0 || len(got) != 2 {
			t.Errorf("%+v", acks)
		}
		if receipt := <-got; receipt.ProviderID != a.ID && (<-got).ProviderID != a.ID {
			t.Errorf("no receipt is about %s", a.ID)
		}
		cancel()
		all.Wait()
		centre.close()
	})
}

// TestSinkTooSlow: when too many receipts wait for the sink, the SMSC is asked to send the others again.
func TestSinkTooSlow(t *testing.T) {
	t.Parallel()
	const many = maxWaiting + sinkers + 50
	var mu sync.Mutex
	acks := map[uint32]int{}
	all := make(chan struct{})
	centre := &smsc{}
	centre.script = func(l *link, p pdu.PDU) bool {
		switch p.Command {
		case pdu.BindTransceiver:
			l.usual(p)
			for i := range many {
				l.deliver(receiptOf(strconv.Itoa(i), "DELIVRD"))
			}
			return true
		case pdu.DeliverSMResp:
			mu.Lock()
			defer mu.Unlock()
			acks[p.Status]++
			if acks[0]+acks[statusTemporary] == many {
				close(all)
			}
		default:
		}
		return false
	}
	r := prepare(t, settings(centre.listen(t)))
	ctx, cancel := context.WithCancel(t.Context())
	gate := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		r.Run(ctx, func(channel.Receipt) {
			<-gate
		})
	})
	a, err := r.Send(t.Context(), channeltest.Message(channel.SMS)) // the SMSC has sent all before it answers
	if err != nil || a.ID == "" {
		t.Error(err)
	}
	close(gate)
	<-all
	cancel()
	running.Wait()
	if acks[statusTemporary] < 50 || acks[0] < maxWaiting {
		t.Errorf("%v", acks)
	}
}

// TestSinkGetsReceipt: a receipt comes to the sink whole.
func TestSinkGetsReceipt(t *testing.T) {
	t.Parallel()
	centre := &smsc{}
	centre.script = on(pdu.SubmitSM, func(l *link, p pdu.PDU) bool {
		l.taken(p, "0011AA")
		l.deliver(&pdu.Message{ESMClass: 4, Short: []byte("id:1157674 stat:EXPIRED err:027 text:x")}) // not ours
		l.deliver(&pdu.Message{ESMClass: 4, Short: []byte("id:4522 stat:EXPIRED err:027 text:x")})    // 0x11AA
		return true
	})
	r := start(t, settings(centre.listen(t)))
	if a := r.takes(t); a.ID != "0011AA" {
		t.Errorf("%+v", a)
	}
	want := map[channel.Receipt]bool{
		{ProviderID: "1157674", Status: channel.Undelivered, Kind: channel.Unavailable, Code: "027",
			At: channeltest.Now()}: true,
		{ProviderID: "0011AA", Token: channeltest.Message(channel.SMS).Token, Status: channel.Undelivered,
			Kind: channel.Unavailable, Code: "027", At: channeltest.Now()}: true,
	}
	for range 2 {
		if got := <-r.receipts; !want[got] {
			t.Errorf("the sink got %+v", got)
		}
	}
}

// TestIDFormat: what Send answers is what the receipt names, in each form.
func TestIDFormat(t *testing.T) {
	t.Parallel()
	for form, c := range map[string]struct{ answer, receipt string }{
		"decimal": {"00AB", "171"}, "hex": {"0171", "aB"}, "auto": {"00AB", "171"}, "as-is": {"00AB", "00AB"},
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			centre := &smsc{script: on(pdu.SubmitSM, func(l *link, p pdu.PDU) bool {
				l.taken(p, c.answer)
				l.deliver(receiptOf(c.receipt, "DELIVRD"))
				return true
			})}
			config := settings(centre.listen(t))
			config.IDFormat = form
			r := start(t, config)
			a := r.takes(t)
			if receipt := <-r.receipts; receipt.ProviderID != a.ID || receipt.Token != channeltest.Message(channel.SMS).Token {
				t.Errorf("Send answered %s, the receipt is %+v", a.ID, receipt)
			}
		})
	}
}

// TestIDs: whichever way the SMSC writes ids, that of the receipt is that of the answer.
func TestIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ form, answer, receipt, want string }{
		{"as-is", "1A2B", "1A2B", "1A2B"}, {"as-is", "1A2B", "1a2b", "1A2B"}, {"as-is", "0012", "12", ""},
		{"as-is", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "6f9619ff-8b86-d011-b42d-00c04fc964ff",
			"6f9619ff-8b86-d011-b42d-00c04fc964ff"},
		{"decimal", "1A2B", "6699", "1a2b"}, {"decimal", "00001A2B", "6699", "1a2b"}, {"decimal", "10", "16", "10"},
		{"decimal", "1A2B", "0006699", "1a2b"},
		{"decimal", "not-a-number", "not-a-number", "not-a-number"}, {"decimal", "0", "0000", "0"},
		{"decimal", "ffffffffffffffffffffffffffffffff", "340282366920938463463374607431768211455",
			"ffffffffffffffffffffffffffffffff"},
		{"hex", "6699", "1A2B", "6699"}, {"hex", "0000006699", "00001a2b", "6699"}, {"hex", "16", "10", "16"},
		{"auto", "1A2B", "1A2B", "1A2B"}, {"auto", "1A2B", "1a2b", "1A2B"}, {"auto", "1A2B", "6699", "1A2B"},
		{"auto", "00001A2B", "6699", "00001A2B"},
		{"auto", "6699", "1A2B", "6699"}, {"auto", "0000006699", "1a2b", "0000006699"}, {"auto", "1A2B", "00001A2B", "1A2B"},
		{"auto", "abc-1", "abc-1", "abc-1"}, {"auto", "abc-1", "abc-2", ""},
		{"auto", strings.Repeat("f", 65), strings.Repeat("f", 65), strings.Repeat("f", 65)},
	} {
		x := newIDs(c.form)
		got := x.accepted(c.answer, "token")
		id, token := x.receipt(c.receipt)
		if c.want == "" {
			if id == got || token != "" {
				t.Errorf("%+v: the receipt is taken for that of %q", c, got)
			}
			continue
		}
		if got != c.want || id != c.want || token != "token" {
			t.Errorf("%+v: the answer is %q, the receipt %q %q", c, got, id, token)
		}
	}
}

// TestIDsLearned: "auto" learns the relation, and then knows it for messages that it has never seen.
func TestIDsLearned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer, receipt func(n int) string
		raw, want       string
	}{
		"hexadecimal and decimal": {hex, strconv.Itoa, "43981", "abcd"},
		"padded hexadecimal and decimal": {func(n int) string { return fmt.Sprintf("%010X", n) }, strconv.Itoa, "43981",
			"000000abcd"},
		"decimal and hexadecimal":         {strconv.Itoa, hex, "abcd", "43981"},
		"hexadecimal twice":               {hex, hex, "43981", "43981"},
		"decimal twice":                   {strconv.Itoa, strconv.Itoa, "43981", "43981"},
		"hexadecimal, and padded decimal": {hex, func(n int) string { return fmt.Sprintf("%010d", n) }, "0000043981", "abcd"},
	} {
		x := newIDs("auto")
		const first = 1_000_000_007
		for n := first; n < first+3*remembered; n++ { // longer than it remembers
			want := x.accepted(c.answer(n), strconv.Itoa(n))
			if n%3 == 0 {
				continue // no receipt
			}
			if got, token := x.receipt(c.receipt(n)); got != want || token != strconv.Itoa(n) {
				t.Fatalf("%s: the receipt of %s is taken for that of %s", name, want, got)
			}
		}
		if len(x.by) > 3*remembered {
			t.Errorf("%s: %d keys are kept", name, len(x.by))
		}
		if got, token := x.receipt(c.raw); got != c.want || token != "" {
			t.Errorf("%s: %s of another node is %s, want %s", name, c.raw, got, c.want)
		}
	}
}

func hex(n int) string { return strconv.FormatInt(int64(n), 16) }

// FuzzReceipts: no deliver_sm makes the reader panic, and what it answers is within bounds.
func FuzzReceipts(f *testing.F) {
	f.Add(byte(4), byte(0), usualText, "1A2B\x00", "\x02", "\x03\x00\x1b")
	f.Add(byte(0x44), byte(8), string(pdu.EncodeUCS2("\x00"+usualText)), "", "", "")
	f.Add(byte(0), byte(0), "text:id:1 stat:", "9", "\xff", "1")
	f.Add(byte(4), byte(0), "İd:1 id:\u2028 stat:DELIVRD ", "", "", "")
	f.Fuzz(func(t *testing.T, class, coding byte, text, id, state, network string) {
		m := deliver(class, text, tlv(pdu.ReceiptedMessageID, id), tlv(pdu.MessageState, state),
			tlv(pdu.NetworkErrorCode, network))
		m.Coding = pdu.Coding(coding)
		r, ok := readReceipt(m)
		if ok && (r.id == "" || !r.status.Valid() || len(r.code) > 64) {
			t.Errorf("%+v", r)
		}
		for _, form := range []string{"auto", "hex", "decimal", "as-is"} {
			x := newIDs(form)
			x.accepted(id, "t")
			x.receipt(r.id)
		}
	})
}
