package row

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/store/row/rowtest"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestCodecKeepsEverything holds that no field is forgotten, also one that comes to these types later.
func TestCodecKeepsEverything(t *testing.T) {
	t.Parallel()
	for _, v := range []*verify.Verification{rowtest.Verification(), {}} {
		spec, state := AppendSpec(nil, &v.Spec), AppendState(nil, v)
		got := &verify.Verification{}
		if err := ReadSpec(spec, &got.Spec); err != nil {
			t.Fatal(err)
		}
		if err := ReadState(state, got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, v) {
			t.Errorf("got  %+v\nwant %+v", got, v)
		}
	}
	for _, n := range []*verify.Number{rowtest.Number(), {}} {
		got := &verify.Number{}
		if err := DecodeNumber(AppendNumber(nil, n), got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, n) {
			t.Errorf("got  %+v\nwant %+v", got, n)
		}
	}
}

// TestJobKeepsEverything holds that no field of a job is forgotten.
func TestJobKeepsEverything(t *testing.T) {
	t.Parallel()
	j := rowtest.Job()
	if got, err := ReadJob(j.ID, AppendJob(nil, j)); err != nil || !reflect.DeepEqual(got, j) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, j)
	}
}

// TestCodecReadsJSON holds that rows of versions before are read.
func TestCodecReadsJSON(t *testing.T) {
	t.Parallel()
	v, n := rowtest.Verification(), rowtest.Number()
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
	for _, err := range []error{ReadSpec(spec, &got.Spec), ReadState(state, got), DecodeNumber(number, gotNumber)} {
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
	v := rowtest.Verification()
	spec := AppendSpec(nil, &v.Spec)
	var got verify.Spec
	if err := ReadSpec(spec[:len(spec)-16], &got); err != nil {
		t.Fatal(err)
	}
	want := v.Spec
	want.Link = [16]byte{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("without its last field: %+v", got)
	}
	got = verify.Spec{}
	if err := ReadSpec(append(spec, "a field of later"...), &got); err != nil || !reflect.DeepEqual(got, v.Spec) {
		t.Errorf("with a field more: %v %+v", err, got)
	}
}

// FuzzCodec: bytes that are damaged are an error or a row, never a panic; and what is read is written the same.
func FuzzCodec(f *testing.F) {
	v := rowtest.Verification()
	f.Add(AppendSpec(nil, &v.Spec))
	f.Add(AppendState(nil, v))
	f.Add(AppendNumber(nil, rowtest.Number()))
	f.Add([]byte{binaryRow, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !isBinary(raw) {
			return
		}
		var v, w verify.Verification
		if ReadSpec(raw, &v.Spec) == nil {
			spec := AppendSpec(nil, &v.Spec)
			if err := ReadSpec(spec, &w.Spec); err != nil || !bytes.Equal(AppendSpec(nil, &w.Spec), spec) {
				t.Errorf("a spec is not read as it was written: %v", err)
			}
		}
		if ReadState(raw, &v) == nil {
			state := AppendState(nil, &v)
			if err := ReadState(state, &w); err != nil || !bytes.Equal(AppendState(nil, &w), state) {
				t.Errorf("a state is not read as it was written: %v", err)
			}
		}
		var n, m verify.Number
		if DecodeNumber(raw, &n) == nil {
			number := AppendNumber(nil, &n)
			if err := DecodeNumber(number, &m); err != nil || !bytes.Equal(AppendNumber(nil, &m), number) {
				t.Errorf("a number is not read as it was written: %v", err)
			}
		}
	})
}
