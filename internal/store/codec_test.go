package store

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/verify"
)

// filler fills every field of a value with something that is not zero, so that one that is not written shows.
type filler struct {
	n       int64
	without map[string]bool // fields that have a column of their own
}

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch v.Kind() {
	case reflect.Struct:
		if t, ok := reflect.TypeAssert[*time.Time](v.Addr()); ok {
			*t = time.Unix(1_700_000_000+f.n, 123_456_789).UTC()
			return
		}
		for i := range v.NumField() {
			if !f.without[v.Type().Name()+"."+v.Type().Field(i).Name] {
				f.fill(v.Field(i))
			}
		}
	case reflect.String:
		v.SetString("text " + string(rune('a'+f.n%26)) + "é")
	case reflect.Int, reflect.Int64:
		v.SetInt(f.n * 1_000_003)
	case reflect.Uint8:
		v.SetUint(uint64(f.n%255) + 1)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"b": "2", "a": "1", "": ""}))
	default:
		panic("a field of a kind that the codec does not know: " + v.Type().String())
	}
}

func fullVerification() *verify.Verification {
	v := &verify.Verification{}
	f := &filler{without: map[string]bool{}}
	for _, column := range []string{"ID", "App", "Sealed", "Status", "Attempts", "Expires"} {
		f.without["Verification."+column] = true
	}
	f.fill(reflect.ValueOf(v).Elem())
	return v
}

func fullNumber() *verify.Number {
	n := &verify.Number{}
	(&filler{without: map[string]bool{"Number.Key": true}}).fill(reflect.ValueOf(n).Elem())
	return n
}

// TestCodecKeepsEverything holds that no field is forgotten, also one that comes to these types later.
func TestCodecKeepsEverything(t *testing.T) {
	t.Parallel()
	for _, v := range []*verify.Verification{fullVerification(), {}} {
		spec, state := appendSpec(nil, &v.Spec), appendState(nil, v)
		got := &verify.Verification{}
		if err := readSpec(spec, &got.Spec); err != nil {
			t.Fatal(err)
		}
		if err := readState(state, got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, v) {
			t.Errorf("got  %+v\nwant %+v", got, v)
		}
	}
	for _, n := range []*verify.Number{fullNumber(), {}} {
		got := &verify.Number{}
		if err := decodeNumber(appendNumber(nil, n), got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, n) {
			t.Errorf("got  %+v\nwant %+v", got, n)
		}
	}
}

// TestCodecReadsJSON holds that rows of versions before are read.
func TestCodecReadsJSON(t *testing.T) {
	t.Parallel()
	v, n := fullVerification(), fullNumber()
	spec, err := json.Marshal(&v.Spec)
	if err != nil {
		t.Fatal(err)
	}
	state, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	number, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	got, gotNumber := &verify.Verification{}, &verify.Number{}
	for _, err := range []error{readSpec(spec, &got.Spec), readState(state, got), decodeNumber(number, gotNumber)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(got, v) || !reflect.DeepEqual(gotNumber, n) {
		t.Errorf("got  %+v %+v\nwant %+v %+v", got, gotNumber, v, n)
	}
}

// TestCodecTakesOtherVersions: a row may lack the newest fields, and have more than is known here.
func TestCodecTakesOtherVersions(t *testing.T) {
	t.Parallel()
	v := fullVerification()
	spec := appendSpec(nil, &v.Spec)
	var got verify.Spec
	if err := readSpec(spec[:len(spec)-16], &got); err != nil {
		t.Fatal(err)
	}
	want := v.Spec
	want.Link = [16]byte{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("without its last field: %+v", got)
	}
	got = verify.Spec{}
	if err := readSpec(append(spec, "a field of later"...), &got); err != nil || !reflect.DeepEqual(got, v.Spec) {
		t.Errorf("with a field more: %v %+v", err, got)
	}
}

// FuzzCodec: bytes that are damaged are an error or a row, never a panic; and what is read is written the same.
func FuzzCodec(f *testing.F) {
	v := fullVerification()
	f.Add(appendSpec(nil, &v.Spec))
	f.Add(appendState(nil, v))
	f.Add(appendNumber(nil, fullNumber()))
	f.Add([]byte{binaryRow, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !isBinary(raw) {
			return
		}
		var v, w verify.Verification
		if readSpec(raw, &v.Spec) == nil {
			spec := appendSpec(nil, &v.Spec)
			if err := readSpec(spec, &w.Spec); err != nil || !bytes.Equal(appendSpec(nil, &w.Spec), spec) {
				t.Errorf("a spec is not read as it was written: %v", err)
			}
		}
		if readState(raw, &v) == nil {
			state := appendState(nil, &v)
			if err := readState(state, &w); err != nil || !bytes.Equal(appendState(nil, &w), state) {
				t.Errorf("a state is not read as it was written: %v", err)
			}
		}
		var n, m verify.Number
		if decodeNumber(raw, &n) == nil {
			number := appendNumber(nil, &n)
			if err := decodeNumber(number, &m); err != nil || !bytes.Equal(appendNumber(nil, &m), number) {
				t.Errorf("a number is not read as it was written: %v", err)
			}
		}
	})
}
