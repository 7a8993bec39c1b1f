package phone

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unsafe"
)

func must(t *testing.T, s string) Number {
	t.Helper()
	n, err := Parse(s, "")
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return n
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, country string
		call        int
		kind        LineType
		fiction     bool
		key, prefix string
		mask        string
	}{
		{"+447700900123", "GB", 44, Mobile, true, "+447700900123", "+44770090", "+44•••••••123"},
		{"+447400123456", "GB", 44, Mobile, false, "+447400123456", "+44740012", "+44•••••••456"},
		{"+447781123456", "GG", 44, Mobile, false, "+447781123456", "+44778112", "+44•••••••456"},
		{"+12015550123", "US", 1, FixedLineOrMobile, true, "+12015550123", "+1201555", "+1•••••••123"},
		{"+14165550123", "CA", 1, FixedLineOrMobile, true, "+14165550123", "+1416555", "+1•••••••123"},
		{"+18762345678", "JM", 1, Mobile, false, "+18762345678", "+1876234", "+1•••••••678"},
		{"+5491123456789", "AR", 54, Mobile, false, "+541123456789", "+549112345", "+54••••••••789"},
		{"+541123456789", "AR", 54, FixedLine, false, "+541123456789", "+54112345", "+54•••••••789"},
		{"+525512345678", "MX", 52, FixedLineOrMobile, false, "+525512345678", "+52551234", "+52•••••••678"},
		{"+390612345678", "IT", 39, FixedLine, false, "+390612345678", "+39061234", "+39•••••••678"},
		{"+390669881234", "VA", 39, FixedLine, false, "+390669881234", "+39066988", "+39•••••••234"},
		{"+445612345678", "GB", 44, VoIP, false, "+445612345678", "+44561234", "+44•••••••678"},
		{"+77012345678", "KZ", 7, Mobile, false, "+77012345678", "+7701234", "+7•••••••678"},
	} {
		n := must(t, c.in)
		if n.Country() != c.country || n.CallingCode() != c.call || n.Type() != c.kind || n.Fiction() != c.fiction {
			t.Errorf("%s: got %s %d %s fiction=%v", c.in, n.Country(), n.CallingCode(), n.Type(), n.Fiction())
		}
		if n.Key() != c.key || n.Prefix() != c.prefix || n.Mask() != c.mask {
			t.Errorf("%s: got key %s, prefix %s, mask %s", c.in, n.Key(), n.Prefix(), n.Mask())
		}
	}
}

func TestOneKeyPerHandset(t *testing.T) {
	t.Parallel()
	for _, ways := range [][]string{
		{"+5491123456789", "+541123456789", "+54 11 15 2345 6789", "+54 9 11 2345-6789", "+54 (0)11 15 2345-6789"},
		{"+525512345678", "+5215512345678", "+52 1 55 1234 5678"},
		{"+447400123456", "+44 (0)7400 123456", "+4407400123456", "tel:+44-7400-123456"},
	} {
		want := must(t, ways[0]).Key()
		for _, way := range ways {
			if got := must(t, way).Key(); got != want {
				t.Errorf("%s: got key %s, want %s", way, got, want)
			}
		}
	}
}

func TestZero(t *testing.T) {
	t.Parallel()
	var n Number
	if !n.IsZero() || n.E164() != "" || n.Key() != "" || n.Prefix() != "" || n.Mask() != "" || n.Country() != "" ||
		n.CallingCode() != 0 || n.Type() != Unknown || n.Fiction() {
		t.Error("the zero Number says something")
	}
	if got := unsafe.Sizeof(n); got != 16 {
		t.Errorf("a Number has %d bytes", got)
	}
}

func TestNeverPrintsWhole(t *testing.T) {
	t.Parallel()
	n := must(t, "+447700900123")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("sent", "to", n, "in", []Number{n}, "struct", struct{ To Number }{n})
	slog.New(slog.NewTextHandler(&log, nil)).Info("sent", "to", n, "pointer", &n)
	wire, err := json.Marshal(map[Number]any{n: struct{ To *Number }{&n}})
	if err != nil {
		t.Fatal(err)
	}
	printed := log.String() + string(wire)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%o", "%b", "%e", "%T %v"} {
		printed += fmt.Sprintf(verb, n) + fmt.Sprintf(verb, struct{ To Number }{n}) + fmt.Sprintf(verb, []*Number{&n})
	}
	for _, secret := range []string{"00900", "7700900123", "447700", "66be9a"} {
		if strings.Contains(printed, secret) {
			t.Errorf("the number was printed: %q in %s", secret, printed)
		}
	}
	if !strings.Contains(string(wire), `"+44•••••••123"`) {
		t.Errorf("got JSON %s", wire)
	}
}

func TestLineTypeString(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for kind := Unknown; kind <= Voicemail; kind++ {
		if s := kind.String(); s == "" || seen[s] {
			t.Errorf("type %d is called %q", kind, s)
		} else {
			seen[s] = true
		}
	}
	if got := LineType(99).String(); got != "line_type_99" {
		t.Errorf("got %q", got)
	}
}

// TestDetails holds that each code has a detail of its own and a form that never changes.
func TestDetails(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, code := range []string{
		CodeInvalid, CodeRegionRequired, CodeUnknownRegion, CodeUnassigned, CodeShort, CodePremiumRate, CodeSharedCost,
		CodeUAN, CodePager, CodeVoicemail, CodeTollFree, CodePersonalNumber, CodeSatellite,
	} {
		if d := detail(code); d == "" || seen[d] {
			t.Errorf("%s has the detail %q", code, d)
		} else {
			seen[d] = true
		}
	}
}
