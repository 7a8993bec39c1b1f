package smpp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/smpp/pdu"
)

// maxParts bounds a message, in parts. A one-time code needs one; more than a few is a mistake that costs money.
const maxParts = 10

// leastValidity is the shortest validity period that is asked for: SMSCs that count in minutes refuse less.
const leastValidity = time.Minute

// Send implements channel.Sender.
//
// A message of several parts is known by the id of its last part, and only for that a receipt is asked. When a part
// fails after an earlier one was taken, nobody can say what the person sees: the error is MaybeSent.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	parts, fault := s.compose(m)
	if fault != nil {
		return channel.Accepted{}, fault
	}
	for i, part := range parts {
		token, last := "", i == len(parts)-1
		if last {
			token = m.Token
		}
		id, err := s.carryPart(ctx, part, token, i > 0)
		switch {
		case err != nil && i > 0 && err.Kind != channel.MaybeSent:
			return channel.Accepted{}, maybeSent(err.Code, "a part of the message was not taken: "+err.Detail)
		case err != nil:
			return channel.Accepted{}, err
		case last:
			return channel.Accepted{ID: id, Parts: counted(parts)}, nil
		}
	}
	return channel.Accepted{}, unavailable("internal", "the message is empty")
}

// counted returns how many messages the SMSC has taken, 0 when it cuts the text itself.
func counted(parts []*pdu.Message) int {
	if _, payload := pdu.Find(parts[0].TLVs, pdu.MessagePayload); payload {
		return 0
	}
	return len(parts)
}

// maxRetries is how often a later part is tried again while the SMSC does not take it.
const maxRetries = 3

// carryPart carries a part. A later one is worth some patience, since an earlier one is out already.
func (s *sender) carryPart(ctx context.Context, part *pdu.Message, token string,
	later bool) (id string, e *channel.Error) {
	for try := 0; ; try++ {
		id, e = s.carry(ctx, part, token)
		if e == nil || !later || try == maxRetries || (e.Kind != channel.Throttled && e.Kind != channel.Unavailable) {
			return id, e
		}
		if !sleep(ctx, max(e.RetryAfter, s.times.retry)) {
			return id, e
		}
	}
}

// carry hands one submit_sm to a session that has room, and answers the message's id.
func (s *sender) carry(ctx context.Context, m *pdu.Message, token string) (string, *channel.Error) {
	patience := time.NewTimer(s.times.patience)
	defer patience.Stop()
	var gone *channel.Error
	for {
		x, err := s.take(ctx, patience.C)
		if err != nil {
			return "", cmp.Or(gone, err)
		}
		answer, err := x.submit(ctx, m, token)
		if err == nil {
			return judge(x, answer)
		}
		if !errors.Is(err, errGone) {
			return "", err
		}
		gone = unavailable(errGone.Code, errGone.Detail)
	}
}

// take waits for a session with room, until patience is over.
func (s *sender) take(ctx context.Context, patience <-chan time.Time) (*session, *channel.Error) {
	for {
		if ctx.Err() != nil {
			return nil, unavailable("time", "there was no time left to send")
		}
		select {
		case x := <-s.free:
			if x.alive() {
				return x, nil
			}
			continue
		default:
		}
		if e := s.refused(); e != nil {
			return nil, e
		}
		select {
		case x := <-s.free:
			if x.alive() {
				return x, nil
			}
		case <-ctx.Done():
			return nil, unavailable("time", "no session had room in time")
		case <-patience:
			if s.bound.Load() == 0 {
				return nil, unavailable("unbound", "no session with the SMSC is bound")
			}
			return nil, &channel.Error{
				Kind:       channel.Throttled,
				Provider:   name,
				Code:       "window",
				Detail:     "the SMSC has not answered the messages before this one",
				RetryAfter: time.Second,
			}
		}
	}
}

// refused returns why there is no use in waiting: the SMSC does not accept the account.
func (s *sender) refused() *channel.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal == nil || s.bound.Load() > 0 {
		return nil
	}
	e := *s.refusal
	return &e
}

// judge reads the answer to a submit_sm, and returns the id if there is one: some SMSCs give none, and have the message
// all the same.
func judge(x *session, a pdu.PDU) (string, *channel.Error) {
	if a.Status != statusOK {
		e := statusError(a.Status)
		switch a.Status {
		case statusThrottled, statusQueueFull:
			e.RetryAfter = x.pace.complaint(time.Now())
		case statusUnbound:
			x.end("the SMSC says that the session is not bound")
		}
		return "", e
	}
	x.pace.taken(time.Now())
	if a.Command == pdu.GenericNack {
		return "", maybeSent("answer", "the SMSC says neither yes nor no")
	}
	if body, ok := a.Body.(*pdu.MessageResp); ok {
		return body.ID, nil
	}
	return "", nil // it took the message and gave no id, so there is no receipt to wait for
}

// compose returns the submit_sm of each part.
func (s *sender) compose(m channel.Message) ([]*pdu.Message, *channel.Error) {
	source, err := s.source(m.From)
	if err != nil {
		return nil, err
	}
	to := strings.TrimPrefix(m.To.E164(), "+")
	if to == "" || m.Text.Body == "" {
		return nil, unavailable("internal", "the message has no number or no text")
	}
	text := s.encode(m.Text.Body)
	if len(text.parts) > maxParts {
		return nil, &channel.Error{
			Kind:     channel.Refused,
			Provider: name,
			Code:     "too_long",
			Detail:   fmt.Sprintf("the text has more than %d parts", maxParts),
		}
	}
	form := pdu.Message{
		Source: source, Dest: pdu.Address{TON: byte(s.cfg.DestTON), NPI: byte(s.cfg.DestNPI), Value: to},
		Validity: s.validity(m.ExpiresAt), Coding: text.coding, TLVs: s.extras(m.Regulatory),
	}
	out := s.lay(form, text)
	out[len(out)-1].Registered = byte(s.cfg.RegisteredDelivery)
	return out, nil
}

// lay returns a submit_sm for each part of a text, made from a form without one.
func (s *sender) lay(form pdu.Message, t text) []*pdu.Message {
	switch {
	case len(t.parts) == 1:
		form.Short = t.whole
		return []*pdu.Message{&form}
	case s.cfg.LongMessages == "payload":
		form.TLVs = append(form.TLVs, pdu.TLV{Tag: pdu.MessagePayload, Value: t.whole})
		return []*pdu.Message{&form}
	}
	reference, total := uint16(s.reference.Add(1)), byte(len(t.parts))
	out := make([]*pdu.Message, total)
	for i, part := range t.parts {
		one, number := form, byte(i+1)
		if s.cfg.LongMessages == "sar" {
			one.Short, one.TLVs = part, slices.Concat(form.TLVs, pdu.SAR(reference, total, number))
		} else {
			one.Short, one.ESMClass = pdu.Join(byte(reference), total, number, part), pdu.ESMHeader
		}
		out[i] = &one
	}
	return out
}

// text is an encoded text, whole and in the parts that a handset gets.
type text struct {
	coding pdu.Coding
	whole  []byte
	parts  [][]byte
}

// encode writes a text in the route's alphabet, or in UCS-2 when that does not have all its characters. Latin 1 is
// cut where GSM is: the SMSC turns it into GSM for the handset.
func (s *sender) encode(body string) text {
	gsm, ok := pdu.EncodeGSM(body)
	latin, alsoLatin := pdu.EncodeLatin1(body)
	if !ok || s.cfg.Alphabet == "ucs2" || (s.cfg.Alphabet == "latin1" && !alsoLatin) {
		t := text{coding: pdu.UCS2, whole: pdu.EncodeUCS2(body)}
		if s.cfg.Alphabet == "ucs2" {
			t.coding = s.coding(pdu.UCS2)
		}
		t.parts = pdu.Split(t.whole, pdu.UCS2, pdu.SingleUCS2, pdu.JoinedUCS2)
		return t
	}
	t := text{coding: s.coding(pdu.Default), whole: gsm, parts: pdu.Split(gsm, pdu.Default, pdu.SingleGSM, pdu.JoinedGSM)}
	if s.cfg.Alphabet == "latin1" {
		t.coding, t.whole = s.coding(pdu.Latin1), latin
		for i := range t.parts {
			t.parts[i], _ = pdu.EncodeLatin1(pdu.DecodeGSM(t.parts[i]))
		}
	}
	return t
}

// coding returns the data_coding of the route's alphabet.
func (s *sender) coding(usual pdu.Coding) pdu.Coding {
	if s.cfg.DataCoding == automatic {
		return usual
	}
	return pdu.Coding(s.cfg.DataCoding)
}

// Types of number and numbering plans (SMPP 3.4 §5.2.5, §5.2.6).
const (
	tonInternational = 1
	tonShortCode     = 3
	tonName          = 5
	npiE164          = 1
	// maxShortCode is how many digits a short code has at most; a longer sender is a number.
	maxShortCode = 8
	// maxName is how many characters a sender that is a name has at most (3GPP TS 23.040 §9.1.2.5).
	maxName = 11
	// maxNumberDigits is E.164's.
	maxNumberDigits = 15
)

// source returns the sender as an address. An empty one leaves the choice to the carrier.
func (s *sender) source(from string) (pdu.Address, *channel.Error) {
	refuse := func(detail string) (pdu.Address, *channel.Error) {
		return pdu.Address{}, &channel.Error{Kind: channel.Refused, Provider: name, Code: "sender", Detail: detail}
	}
	var a pdu.Address
	digits := strings.TrimPrefix(from, "+")
	number := digits != "" && !strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	switch {
	case from == "":
	case number && len(digits) > maxNumberDigits:
		return refuse("the sender has more than 15 digits")
	case number && (digits != from || len(digits) > maxShortCode):
		a = pdu.Address{TON: tonInternational, NPI: npiE164, Value: digits}
	case number:
		a = pdu.Address{TON: tonShortCode, Value: digits}
	case len(from) > maxName || !printable(from):
		return refuse("a sender that is a name has at most 11 plain characters")
	default:
		a = pdu.Address{TON: tonName, Value: from}
	}
	if s.cfg.SourceTON != automatic {
		a.TON = byte(s.cfg.SourceTON)
	}
	if s.cfg.SourceNPI != automatic {
		a.NPI = byte(s.cfg.SourceNPI)
	}
	return a, nil
}

// validity returns the rest of the code's life in SMPP's form of time (§7.1.1), empty for none.
func (s *sender) validity(expires time.Time) string {
	if expires.IsZero() || s.cfg.Validity == "none" {
		return ""
	}
	now := s.now()
	left := max(expires.Sub(now), leastValidity)
	if s.cfg.Validity == "absolute" {
		return now.Add(left).UTC().Format("060102150405") + "000+"
	}
	const day = 24 * time.Hour
	left = min(left, 28*day)
	seconds := int(left % day / time.Second)
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", int(left/day), seconds/3600, seconds/60%60, seconds%60)
}

// extras returns the parameters of the setting tlvs. A field that the route does not have leaves its parameter out.
func (s *sender) extras(regulatory map[string]string) []pdu.TLV {
	var out []pdu.TLV
	for _, t := range s.templates {
		if text, ok := fill(t.text, regulatory); ok {
			out = append(out, pdu.TLV{Tag: t.tag, Value: []byte(text)})
		}
	}
	return out
}

// fill puts fields into a text with {names}. ok is false when one is missing.
func fill(text string, fields map[string]string) (out string, ok bool) {
	for {
		before, rest, opened := strings.Cut(text, "{")
		key, after, closed := strings.Cut(rest, "}")
		if !opened || !closed {
			return out + text, true
		}
		value := fields[key]
		if value == "" || len(value) > maxTemplateText {
			return "", false
		}
		out, text = out+before+value, after
	}
}

// sleep waits; it answers false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
