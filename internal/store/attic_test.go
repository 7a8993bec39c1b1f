package store

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
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
	rows, random := textTable(600), rand.New(rand.NewPCG(1, 2))
	want := map[int]string{}
	found := 0
	for i := range 5000 {
		k := random.IntN(64)
		if e := rows.find(k); e != nil {
			if found++; e.there != (want[k] != "") || e.there && e.value != want[k] {
				t.Fatalf("step %d: row %d is %q (%v), committed was %q", i, k, e.value, e.there, want[k])
			}
		}
		switch random.IntN(5) {
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

// TestAtticHasTheWholeRow: a row that comes from the attic is the row that the file has. Above all, the codes that were compared
// are counted on.
func TestAtticHasTheWholeRow(t *testing.T) {
	t.Parallel()
	e, err := openSQLite(filepath.Join(t.TempDir(), "attic.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close() //nolint:errcheck // the test is about what is read
	commit := func(work func(*tx) error) {
		t.Helper()
		o := &op{run: work}
		if err := e.commit(t.Context(), 0, []*op{o}); err != nil || o.err != nil {
			t.Fatal(err, o.err)
		}
	}
	ids := id.NewSource(id.ID{})
	now := time.UnixMilli(1_800_000_000_000)
	v := fullVerification()
	v.ID, v.App, v.Sealed, v.Status, v.Attempts, v.Expires = ids.New(now), ids.New(now), []byte("sealed"), verify.Pending, 3, now.Add(time.Minute).UTC()
	n := fullNumber()
	n.Key = v.Spec.Number
	commit(func(x *tx) error { x.PutVerification(v, true); x.PutNumber(n); return nil })
	for i := range 3 * keptHot {
		commit(func(x *tx) error {
			x.PutVerification(&verify.Verification{ID: ids.New(now), Status: verify.Pending}, true)
			x.PutNumber(&verify.Number{Key: verify.NumberKey{1, byte(i), byte(i >> 8)}})
			return nil
		})
	}
	if err := e.commit(t.Context(), 0, []*op{{folds: foldAll, run: func(*tx) error { return nil }}}); err != nil {
		t.Fatal(err)
	}
	if e.b.verifications.attic.get(v.ID) == nil || e.b.numbers.attic.get(n.Key) == nil {
		t.Fatal("the rows are not in the attic")
	}
	if row, err := readNumberRow(n.Key, e.b.numbers.attic.get(n.Key)); err != nil || !reflect.DeepEqual(row, n) {
		t.Errorf("the attic has %+v, %v", row, err)
	}
	file, err := e.dialect().readVerification(e.w, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	commit(func(x *tx) error {
		got, err := x.Verification(v.ID)
		if err != nil || !reflect.DeepEqual(got, v) || !reflect.DeepEqual(got, file) {
			t.Errorf("from the attic %+v\nfrom the file  %+v\nwritten        %+v, %v", got, file, v, err)
		}
		number, err := x.Number(n.Key)
		if err != nil || !reflect.DeepEqual(number, n) {
			t.Errorf("from the attic %+v\nwritten        %+v, %v", number, n, err)
		}
		return nil
	})
}
