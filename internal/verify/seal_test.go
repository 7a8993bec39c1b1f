package verify

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
)

// TestSealedIsJSON: what is sealed without reflection is what encoding/json would have sealed, and is read back; so is
// what only looks like it.
func TestSealedIsJSON(t *testing.T) {
	t.Parallel()
	s := &Service{Options: Options{Ring: testRing(t)}}
	vid := id.ID{1, 2, 3}
	for _, p := range []Private{
		{}, {To: "+4915112345678"}, {To: "+4915112345678", Email: "p@example.com"},
		{To: "+4915112345678", Supplied: "123456"},
		{To: "+4915112345678", Transaction: &message.Transaction{Amount: "1", Currency: "EUR", Payee: `a "b" \ "}`}},
		{To: "+4915112345678", Client: &Client{}},
	} {
		sealed, err := s.seal(&Verification{ID: vid}, &p)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := s.Ring.Open(sealed, vid[:])
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := json.Marshal(p); string(plain) != string(want) {
			t.Errorf("sealed %s, and encoding/json writes %s", plain, want)
		}
		got, err := s.unseal(&Verification{ID: vid, Sealed: sealed})
		if err != nil || !reflect.DeepEqual(*got, p) {
			t.Errorf("read back as %+v (%v), and was %+v", got, err, p)
		}
	}
	escaped, err := s.unseal(&Verification{ID: vid, Sealed: s.Ring.Seal([]byte(`{"to":"\u002b49"}`), vid[:])})
	if err != nil || escaped.To != "+49" {
		t.Errorf("an escape is read as %+v (%v)", escaped, err)
	}
}
