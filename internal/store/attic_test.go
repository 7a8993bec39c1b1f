package store

import (
	"fmt"
	"testing"
)

func textTable(most int) *table[int, string] {
	return &table[int, string]{
		attic: newAttic[int](most),
		codec: codec[int, string]{
			appends: func(b []byte, v string) []byte { return append(b, v...) },
			read:    func(_ int, raw []byte) (string, error) { return string(raw), nil },
			again:   func(v string) bool { return v != "over" },
		},
	}
}

// TestAtticKeepsTheNewest: whatever rows go through memory, what is found is what was committed last, or nothing.
func TestAtticKeepsTheNewest(t *testing.T) {
	t.Parallel()
	rows := textTable(600)
	want := map[int]string{}
	found := 0
	for i := range 5000 {
		k := i * 7919 % 64
		if e := rows.find(k); e != nil {
			if found++; e.there != (want[k] != "") || e.there && e.value != want[k] {
				t.Fatalf("step %d: row %d is %q (%v), committed was %q", i, k, e.value, e.there, want[k])
			}
		}
		switch i % 5 {
		case 0:
			rows.drop(k)
			want[k] = ""
		case 1:
			want[k] = "over"
			rows.put(k, "over")
		case 2, 3:
			want[k] = fmt.Sprintf("row %d of step %d", k, i)
			rows.put(k, want[k])
		}
		rows.settle(4)
	}
	if found < 1000 {
		t.Errorf("only %d rows were found in memory", found)
	}
}

// TestAtticIsBounded: two halves, each overrun by one row at most.
func TestAtticIsBounded(t *testing.T) {
	t.Parallel()
	a := newAttic[int](1000)
	for i := range 10_000 {
		a.put(i, func(b []byte) []byte { return append(b, make([]byte, 10)...) })
	}
	if n := len(a.young.buf) + len(a.old.buf); n > 2020 {
		t.Errorf("%d bytes are kept", n)
	}
	if n := len(a.young.at) + len(a.old.at); n > 202 {
		t.Errorf("%d rows are kept", n)
	}
	if a.get(0) != nil || len(a.get(9_999)) != 10 {
		t.Error("the oldest is kept, or the newest is not")
	}
}

// TestAtticForgetsWithTheBatch: after a commit that failed nothing in memory is believed.
func TestAtticForgetsWithTheBatch(t *testing.T) {
	t.Parallel()
	rows := textTable(1 << 10)
	for i := range 20 {
		rows.put(i, "row")
		rows.settle(4)
	}
	rows.reset()
	for i := range 20 {
		if rows.find(i) != nil {
			t.Errorf("row %d is still there", i)
		}
	}
}
