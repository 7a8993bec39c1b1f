package storetest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// The keys of rows of earlier versions.
var (
	oldApp          = id.ID{0x01, 0x9c, 0x1d, 0x3c, 0xbb, 0x56, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x0b}
	oldVerification = id.ID{0x01, 0x9c, 0x1d, 0x3c, 0xbb, 0x56, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x0a}
	oldNumber       = verify.NumberKey{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
)

// Old judges what became of the rows of an earlier version.
func Old(t *testing.T, db Store) {
	t.Helper()
	var seen []*verify.Verification
	if err := db.Scan(t.Context(), oldApp, id.ID{},
		func(v *verify.Verification) bool { seen = append(seen, v); return true }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0].Status != verify.Approved || seen[0].Attempts != 2 || seen[0].Spec.Country != "GB" {
		t.Errorf("the verifications are %+v", seen)
	}
	n, err := db.NumberRow(t.Context(), oldNumber)
	if err != nil || n == nil || n.Streak != 3 {
		t.Errorf("the number is %+v, %v", n, err)
	}
	apps, err := db.Applications(t.Context())
	if err != nil || len(apps) != 1 || apps[0].Name != "shop" {
		t.Errorf("the applications are %+v, %v", apps, err)
	}
}

// Renewed changes the rows of an earlier version: they are then as this version writes them, and nothing of them is
// lost.
func Renewed(t *testing.T, db Store) {
	t.Helper()
	before, err := db.Find(t.Context(), oldVerification)
	if err != nil || before == nil {
		t.Fatalf("the verification is %+v, %v", before, err)
	}
	err = db.Do(t.Context(), verify.Needs{Verification: oldVerification, Number: oldNumber}, func(x verify.Tx) error {
		v, err := x.Verification(oldVerification)
		n, failed := x.Number(oldNumber)
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		v.Attempts, v.Sends, n.Streak = 3, 2, 4
		x.PutVerification(v, false)
		x.PutNumber(n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := db.NumberRow(t.Context(), oldNumber)
	if err != nil || n.Streak != 4 || n.Last == 0 {
		t.Errorf("the number has become %+v, %v", n, err)
	}
	want := *before
	want.Attempts, want.Sends = 3, 2
	if after, err := db.Find(t.Context(), oldVerification); err != nil || !sameJSON(t, after, &want) ||
		!sameJSON(t, &after.Spec, &want.Spec) {
		t.Errorf("the verification has become\n%+v, %v, want\n%+v", after, err, &want)
	}
	if _, n, err := db.Forget(t.Context(), id.ID{}, time.Now()); n != 1 || err != nil {
		t.Errorf("%d verifications were forgotten, %v", n, err)
	}
	if after, err := db.Find(t.Context(), oldVerification); err != nil || after.Sealed != nil ||
		after.Spec.Number != (verify.NumberKey{}) || after.Spec.Country != "GB" || after.Sends != 2 {
		t.Errorf("the forgotten verification is %+v, %v", after, err)
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a, json.Deterministic(true))
	y, failed := json.Marshal(b, json.Deterministic(true))
	if err = errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}
