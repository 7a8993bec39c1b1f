// Package rowtest makes rows for tests, with something in every field.
package rowtest

import (
	"reflect"
	"time"

	"github.com/dialproof/dialproof/internal/queue"
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

// Verification returns a verification with every field set that has no column of its own.
func Verification() *verify.Verification {
	v := &verify.Verification{}
	f := &filler{without: map[string]bool{}}
	for _, column := range []string{"ID", "App", "Sealed", "Status", "Attempts", "Expires"} {
		f.without["Verification."+column] = true
	}
	f.fill(reflect.ValueOf(v).Elem())
	return v
}

// Number returns a number with every field set.
func Number() *verify.Number {
	n := &verify.Number{}
	(&filler{without: map[string]bool{"Number.Key": true}}).fill(reflect.ValueOf(n).Elem())
	return n
}

// Job returns a job with every field set.
func Job() *queue.Job {
	j := &queue.Job{}
	(&filler{without: map[string]bool{"Job.ID": true, "Job.Carry": true}}).fill(reflect.ValueOf(j).Elem())
	j.Due = j.Due.Truncate(time.Millisecond)
	return j
}
