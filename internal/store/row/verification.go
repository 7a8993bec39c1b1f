package row

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// AppendSpec appends what a verification is made with, which never changes but for what is personal.
func AppendSpec(b []byte, s *verify.Spec) []byte {
	b = append(b, binaryRow)
	b = appendBool(b, s.Test)
	b = append(b, s.Number[:]...)
	b = appendText(b, s.Masked)
	b = appendText(b, s.Country)
	b = appendText(b, s.Prefix)
	b = appendText(b, s.Email)
	b = appendText(b, s.Purpose)
	b = appendText(b, s.Locale)
	b = appendTime(b, s.Created)
	b = append(b, s.Nonce[:]...)
	b = append(b, s.Key)
	b = appendInt(b, s.CodeLength)
	b = appendText(b, s.Alphabet)
	b = appendInt(b, s.MaxAttempts)
	b = appendInt(b, s.MaxSends)
	b = appendBool(b, s.Fresh)
	b = appendInt(b, len(s.Fallback))
	for _, f := range s.Fallback {
		b = appendInt(appendText(b, string(f.Channel)), f.Wait)
	}
	b = appendText(b, string(s.Magic))
	b = appendText(b, s.Trailer.Origin)
	b = appendText(b, s.Trailer.Embedded)
	b = appendText(b, s.Trailer.AppHash)
	b = appendMetadata(b, s.Metadata)
	b = append(b, s.Previous[:]...)
	return append(b, s.Link[:]...)
}

// appendMetadata orders the names, so that the same row has the same bytes. No metadata and empty metadata are not the
// same.
func appendMetadata(b []byte, m map[string]string) []byte {
	if m == nil {
		return appendInt(b, 0)
	}
	b = appendInt(b, len(m)+1)
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = appendText(appendText(b, name), m[name])
	}
	return b
}

// ReadSpec reads what AppendSpec has appended, or the JSON of before, into s. What is no such row is ErrDamaged or an
// error of JSON; s may have been changed then.
func ReadSpec(raw []byte, s *verify.Spec) error {
	if !isBinary(raw) {
		return json.Unmarshal(raw, s)
	}
	r := reader{all: string(raw), at: 1}
	r.spec(s)
	return r.err
}

func (r *reader) spec(s *verify.Spec) {
	s.Test = r.bool()
	r.bytes(s.Number[:])
	s.Masked, s.Country, s.Prefix, s.Email, s.Purpose, s.Locale = r.text(), r.text(), r.text(), r.text(), r.text(),
		r.text()
	s.Created = r.time()
	r.bytes(s.Nonce[:])
	s.Key = r.byte()
	s.CodeLength, s.Alphabet, s.MaxAttempts, s.MaxSends, s.Fresh = r.int(), r.text(), r.int(), r.int(), r.bool()
	if n := r.count(); n > 0 {
		s.Fallback = make([]application.Step, n)
	}
	for i := range s.Fallback {
		s.Fallback[i] = application.Step{Channel: channel.Kind(r.text()), Wait: r.int()}
	}
	s.Magic = verify.Magic(r.text())
	s.Trailer.Origin, s.Trailer.Embedded, s.Trailer.AppHash = r.text(), r.text(), r.text()
	if n := r.count(); n > 0 {
		s.Metadata = make(map[string]string, n-1)
		for range n - 1 {
			name := r.text()
			s.Metadata[name] = r.text()
		}
	}
	r.bytes(s.Previous[:])
	r.bytes(s.Link[:])
}

// AppendState appends what changes in a verification and has no column of its own.
func AppendState(b []byte, v *verify.Verification) []byte {
	b = append(b, binaryRow)
	b = appendInt(b, v.Sends)
	b = appendText(b, string(v.Channel))
	b = appendTime(b, v.ResendAt)
	b = appendTime(b, v.Ended)
	b = appendInt(b, v.Generation)
	b = appendInt(b, v.Step)
	b = append(b, v.Timer[:]...)
	b = appendInt(b, v.Events)
	b = appendInt(b, len(v.Deliveries))
	for i := range v.Deliveries {
		b = appendDelivery(b, &v.Deliveries[i])
	}
	return appendTimes(b, v.Misread)
}

// appendTimes appends Unix milliseconds.
func appendTimes(b []byte, times []int64) []byte {
	b = appendInt(b, len(times))
	for _, at := range times {
		b = binary.AppendVarint(b, at)
	}
	return b
}

func (r *reader) times() []int64 {
	n := r.count()
	if n == 0 {
		return nil
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = r.varint()
	}
	return out
}

// ReadState reads what AppendState has appended, or the JSON of before, into v. What is no such row is ErrDamaged or an
// error of JSON; v may have been changed then.
func ReadState(raw []byte, v *verify.Verification) error {
	if !isBinary(raw) {
		return json.Unmarshal(raw, v)
	}
	r := reader{all: string(raw), at: 1}
	r.state(v)
	return r.err
}

func (r *reader) state(v *verify.Verification) {
	v.Sends, v.Channel, v.ResendAt, v.Ended = r.int(), channel.Kind(r.text()), r.time(), r.time()
	v.Generation, v.Step = r.int(), r.int()
	r.bytes(v.Timer[:])
	v.Events = r.int()
	if n := r.count(); n > 0 {
		v.Deliveries = make([]channel.Delivery, n)
	}
	for i := range v.Deliveries {
		r.delivery(&v.Deliveries[i])
	}
	v.Misread = r.times()
}

// appendDelivery puts the length before the fields, so that fields can be added to each of a list.
func appendDelivery(b []byte, d *channel.Delivery) []byte {
	begin := len(b) + 2
	b = append(b, 0, 0)
	b = append(b, d.ID[:]...)
	b = appendText(b, string(d.Channel))
	b = appendText(b, d.Route)
	b = appendText(b, string(d.Status))
	b = appendInt(b, d.Attempt)
	b = appendText(b, d.ProviderID)
	b = appendText(b, string(d.Kind))
	b = appendText(b, d.Code)
	b = appendText(b, d.Reason)
	b = appendInt(b, d.Parts)
	b = appendText(b, d.Price)
	b = appendText(b, d.Currency)
	b = appendTime(b, d.Created)
	b = appendTime(b, d.Updated)
	binary.BigEndian.PutUint16(b[begin-2:], uint16(len(b)-begin))
	return b
}

func (r *reader) delivery(d *channel.Delivery) {
	var length [2]byte
	r.bytes(length[:])
	in := r.part(int(binary.BigEndian.Uint16(length[:])))
	in.bytes(d.ID[:])
	d.Channel, d.Route, d.Status, d.Attempt = channel.Kind(in.text()), in.text(), channel.Status(in.text()), in.int()
	d.ProviderID, d.Kind, d.Code, d.Reason = in.text(), channel.ErrorKind(in.text()), in.text(), in.text()
	d.Parts, d.Price, d.Currency, d.Created, d.Updated = in.int(), in.text(), in.text(), in.time(), in.time()
	if r.err == nil {
		r.err = in.err
	}
}

// AppendVerification appends a whole row: it begins with the columns that the table has.
func AppendVerification(b []byte, v *verify.Verification) []byte {
	b = append(b, binaryRow)
	b = append(b, v.App[:]...)
	b = appendInt(b, int(StatusNumber(v.Status)))
	b = appendInt(b, v.Attempts)
	b = appendTime(b, v.Expires)
	b = append(appendInt(b, len(v.Sealed)), v.Sealed...)
	middle := len(b) + 4
	b = AppendSpec(append(b, 0, 0, 0, 0), &v.Spec)
	binary.BigEndian.PutUint32(b[middle-4:], uint32(len(b)-middle)) // far less
	return AppendState(b, v)
}

// ReadVerification reads what AppendVerification has appended.
func ReadVerification(k id.ID, raw []byte) (*verify.Verification, error) {
	all := string(raw)
	c, err := split(all)
	if err != nil {
		return nil, err
	}
	v := &verify.Verification{ID: k, App: c.App, Status: statuses[c.Status], Attempts: c.Attempts, Expires: c.Expires}
	if c.sealed[0] < c.sealed[1] {
		v.Sealed = []byte(all[c.sealed[0]:c.sealed[1]])
	}
	spec := reader{all: all[c.spec[0]:c.spec[1]], at: 1}
	spec.spec(&v.Spec)
	state := reader{all: all[c.spec[1]:], at: 1}
	state.state(v)
	return v, errors.Join(spec.err, state.err)
}

// Columns is a whole row of a verification as its table has it. The bytes are parts of the row; Sealed is nil for none.
type Columns struct {
	App                 id.ID
	Status, Attempts    int
	Expires             time.Time
	Sealed, Spec, State []byte
	sealed, spec        [2]int // where in the row they are
}

// Split reads as far as the columns go what AppendVerification has appended.
func Split(raw []byte) (Columns, error) {
	c, err := split(string(raw))
	if err != nil {
		return c, err
	}
	if c.sealed[0] < c.sealed[1] {
		c.Sealed = raw[c.sealed[0]:c.sealed[1]]
	}
	c.Spec, c.State = raw[c.spec[0]:c.spec[1]], raw[c.spec[1]:]
	return c, nil
}

func split(all string) (c Columns, err error) {
	r := reader{all: all, at: 1}
	take := func(n int) [2]int {
		begin := r.at
		r.next(n)
		return [2]int{begin, r.at}
	}
	r.bytes(c.App[:])
	if c.Status = r.int(); c.Status < 0 || c.Status >= len(statuses) {
		return c, ErrDamaged
	}
	c.Attempts, c.Expires = r.int(), r.time()
	c.sealed = take(r.int())
	var length [4]byte
	r.bytes(length[:])
	c.spec = take(int(binary.BigEndian.Uint32(length[:])))
	if r.err == nil && (c.spec[0] >= c.spec[1] || c.spec[1] >= len(all)) {
		r.err = ErrDamaged
	}
	return c, r.err
}

// AppOf returns the application of a row of AppendVerification, without reading the rest.
func AppOf(raw []byte) (app id.ID, ok bool) {
	if len(raw) < 1+len(app) {
		return app, false
	}
	return id.ID(raw[1:]), true
}

// statuses are the statuses by their numbers in rows. The order never changes.
var statuses = verify.Statuses()

// Status returns the status of a number in rows; ok is false for none.
func Status(n int64) (s verify.Status, ok bool) {
	if n < 0 || n >= int64(len(statuses)) {
		return "", false
	}
	return statuses[n], true
}

// StatusNumber returns the number of a status in rows.
func StatusNumber(s verify.Status) int64 {
	for i, t := range statuses {
		if s == t {
			return int64(i)
		}
	}
	return -1
}

// Forgotten reports whether what is personal has been taken out of a verification.
func Forgotten(v *verify.Verification) bool {
	return len(v.Sealed) == 0 && v.Spec.Number == (verify.NumberKey{})
}
