package api

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/verify"
)

// anyTime draws times of every precision that is written differently, and the zero time.
func anyTime(t *rapid.T, name string) time.Time {
	zone := rapid.SampledFrom([]*time.Location{time.UTC, time.FixedZone("", -5*3600-1800)}).Draw(t, name+" zone")
	at := rapid.OneOf(rapid.Int64Range(0, 4e18),
		rapid.Map(rapid.Int64Range(0, 4e9), func(s int64) int64 { return s * 1e9 }), rapid.Just(int64(0))).Draw(t, name)
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at).In(zone)
}

// anyText draws what must be escaped and what must not.
func anyText(t *rapid.T, name string) string {
	return rapid.OneOf(rapid.String(),
		rapid.SampledFrom([]string{"", "{", `"\/<>&`, "\x00\x1f\x7f\b\f\n\r\t", "\u2028\u2029", "+49•••••678", "é漢😀"})).
		Draw(t, name)
}

func anyTexts(t *rapid.T) map[string]string {
	return rapid.OneOf(rapid.Just(map[string]string(nil)), rapid.MapOfN(rapid.String(), rapid.String(), 0, 20)).
		Draw(t, "metadata")
}

func anyView(t *rapid.T) verificationView {
	v := verificationView{
		ID:           anyText(t, "id"),
		Status:       verify.Status(anyText(t, "status")),
		To:           anyText(t, "to"),
		Country:      anyText(t, "country"),
		Email:        anyText(t, "email"),
		Proves:       verify.Proof(anyText(t, "proves")),
		Purpose:      anyText(t, "purpose"),
		Channel:      channel.Kind(anyText(t, "channel")),
		CodeLength:   rapid.Int().Draw(t, "length"),
		CreatedAt:    anyTime(t, "created"),
		ExpiresAt:    anyTime(t, "expires"),
		EndedAt:      anyTime(t, "ended"),
		AttemptsLeft: rapid.Int().Draw(t, "attempts"),
		ResendsLeft:  rapid.Int().Draw(t, "resends"),
		ResendAt:     anyTime(t, "resend"),
		Metadata:     anyTexts(t),
	}
	if rapid.Bool().Draw(t, "goes on") {
		v.Next = &nextView{channel.Kind(anyText(t, "next")), anyTime(t, "at")}
	}
	for range rapid.IntRange(0, 3).Draw(t, "deliveries") {
		v.Deliveries = append(v.Deliveries, deliveryView{
			ID:        anyText(t, "id"),
			Channel:   channel.Kind(anyText(t, "channel")),
			Route:     anyText(t, "route"),
			Status:    channel.Status(anyText(t, "status")),
			Reason:    anyText(t, "reason"),
			Error:     channel.ErrorKind(anyText(t, "error")),
			ErrorCode: anyText(t, "code"),
			Parts:     rapid.IntRange(-1, 3).Draw(t, "parts"),
			Price:     anyText(t, "price"),
			Currency:  anyText(t, "currency"),
			CreatedAt: anyTime(t, "created"),
			UpdatedAt: anyTime(t, "updated"),
		})
	}
	return v
}

// TestAppendedIsMarshalled: what is written without reflection is what the encoder writes, byte for byte. The encoder
// leaves the order of metadata to chance; ours is that of the names.
func TestAppendedIsMarshalled(t *testing.T) {
	t.Parallel()
	same := func(t *rapid.T, got []byte, view any) {
		want, err := json.Marshal(view, json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Fatalf("appended   %s\nmarshalled %s", got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		v := anyView(t)
		same(t, v.appendJSON(nil), v)
		c := checkView{
			ID:           anyText(t, "id"),
			Status:       verify.Status(anyText(t, "status")),
			Result:       verify.Result(anyText(t, "result")),
			To:           anyText(t, "to"),
			Proves:       verify.Proof(anyText(t, "proves")),
			Purpose:      anyText(t, "purpose"),
			AttemptsLeft: rapid.Int().Draw(t, "attempts"),
			ExpiresAt:    anyTime(t, "expires"),
			Metadata:     anyTexts(t),
			Proof:        anyText(t, "proof"),
		}
		same(t, c.appendJSON(nil), c)
	})
}
