package id_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
)

func TestIDsGrow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	s := id.NewSource(id.ID{})
	var last id.ID
	for i := range 20_000 { // more than one millisecond holds
		if i == 15_000 {
			now = now.Add(-time.Hour) // the clock is set back
		}
		next := s.New(now)
		if bytes.Compare(next[:], last[:]) <= 0 || next.Seq() <= last.Seq() {
			t.Fatalf("id %d does not come after the one before", i)
		}
		if next[6]>>4 != 7 || next[8]>>6 != 2 {
			t.Fatalf("id %x is no UUIDv7", next)
		}
		last = next
	}
	if after := id.NewSource(last).New(now); after.Seq() <= last.Seq() {
		t.Error("a new source does not begin after its floor")
	}
}

func TestTextRoundTrips(t *testing.T) {
	t.Parallel()
	s := id.NewSource(id.ID{})
	for range 1000 {
		v := s.New(time.Now())
		text := v.Text(id.Verification)
		back, err := id.Parse(id.Verification, text)
		if err != nil || back != v || len(text) != 30 {
			t.Fatalf("%s: %v, %v", text, back, err)
		}
	}
	v := s.New(time.Now()).Text(id.Verification)
	for _, bad := range []string{"", "vrf_", v[:29], v + "0", "dlv_" + v[4:], "vrf_8" + v[5:], "VRF_" + v[4:], v[:29] +
		"u", v[:29] + "\x00"} {
		if _, err := id.Parse(id.Verification, bad); err == nil {
			t.Errorf("%q was taken for an id", bad)
		}
	}
}

func TestAtComesFirst(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	if made := id.NewSource(id.ID{}).New(at); made.Seq() < id.At(at).Seq() ||
		made.Seq() >= id.At(at.Add(time.Millisecond)).Seq() || !made.Time().Equal(at) {
		t.Errorf("%x is not in its millisecond", made)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("vrf_01jd3v9k5e7x2m8q4r6t0w1y3z")
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := id.Parse(id.Verification, text); err == nil && v.Text(id.Verification) != text {
			t.Errorf("%q has the other text %q", text, v.Text(id.Verification))
		}
	})
}
