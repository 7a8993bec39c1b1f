package phone

import (
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// libraryTypes maps the types of libphonenumber to ours.
func libraryTypes() map[phonenumbers.PhoneNumberType]LineType {
	return map[phonenumbers.PhoneNumberType]LineType{
		phonenumbers.FIXED_LINE: FixedLine, phonenumbers.MOBILE: Mobile,
		phonenumbers.FIXED_LINE_OR_MOBILE: FixedLineOrMobile, phonenumbers.TOLL_FREE: TollFree,
		phonenumbers.PREMIUM_RATE: PremiumRate, phonenumbers.SHARED_COST: SharedCost,
		phonenumbers.VOIP: VoIP, phonenumbers.PERSONAL_NUMBER: PersonalNumber,
		phonenumbers.PAGER: Pager, phonenumbers.UAN: UAN, phonenumbers.VOICEMAIL: Voicemail,
		phonenumbers.UNKNOWN: Unknown,
	}
}

// examples returns every example number of the metadata, each type of each region, in E.164.
func examples(t testing.TB) []string {
	t.Helper()
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range all.GetMetadata() {
		for _, d := range []*phonenumbers.PhoneNumberDesc{
			m.GetGeneralDesc(), m.GetFixedLine(), m.GetMobile(), m.GetTollFree(), m.GetPremiumRate(),
			m.GetSharedCost(), m.GetPersonalNumber(), m.GetVoip(), m.GetPager(), m.GetUan(), m.GetVoicemail(),
		} {
			if d.GetExampleNumber() != "" {
				seen["+"+strconv.Itoa(int(m.GetCountryCode()))+d.GetExampleNumber()] = true
			}
		}
	}
	list := make([]string, 0, len(seen))
	for s := range seen {
		list = append(list, s)
	}
	sort.Strings(list)
	return list
}

// mutate changes, drops or adds a digit or two of s.
func mutate(r *rand.Rand, s string) string {
	b := []byte(s)
	for range 1 + r.IntN(2) {
		i := 1 + r.IntN(len(b)-1)
		digit := byte('0' + r.IntN(10))
		switch r.IntN(6) {
		case 0:
			b = append(b[:i:i], b[i+1:]...)
		case 1:
			b = append(b[:i:i], append([]byte{digit}, b[i:]...)...)
		default:
			b[i] = digit
		}
		if len(b) < 2 {
			return s
		}
	}
	return string(b)
}

// uniform returns any E.164 form at all.
func uniform(r *rand.Rand) string {
	b := []byte{'+', byte('1' + r.IntN(9))}
	for range minDigits - 1 + r.IntN(maxDigits-minDigits+1) {
		b = append(b, byte('0'+r.IntN(10)))
	}
	return string(b)
}

// comparison counts what TestLibrary compared.
type comparison struct{ compared, valid, direct int }

// compare fails the test when our verdict on the E.164 form s differs from the library's.
func (c *comparison) compare(t *testing.T, types map[phonenumbers.PhoneNumberType]LineType, s string) {
	digits, ok := strict(s)
	if !ok || withoutMexicanPrefix(digits) != digits {
		return // longer or shorter than E.164 allows, or deliberately read another way
	}
	c.compared++
	n, code := settle(digits)
	read, err := phonenumbers.Parse(s, "")
	if err != nil {
		if code != CodeInvalid && code != CodeUnassigned {
			t.Errorf("%s: got code %q, the library cannot read it: %v", s, code, err)
		}
		return
	}
	if p := plans().find(digits); p != nil && !p.judge(digits).has(trunk) {
		c.direct++
	}
	if code == CodeInvalid {
		if form := phonenumbers.Format(read, phonenumbers.E164); canonical(form) {
			t.Errorf("%s: refused as invalid, the library reads %s", s, form)
		}
		return
	}
	if n.Fiction() {
		return // TestFiction judges these
	}
	if got, want := n.E164(), phonenumbers.Format(read, phonenumbers.E164); got != want {
		t.Errorf("%s: got number %s, the library %s", s, got, want)
	}
	valid := phonenumbers.IsValidNumber(read)
	if got := code != CodeUnassigned && code != CodeShort; got != valid {
		t.Errorf("%s: got code %q, the library says valid=%v", s, code, valid)
	}
	if !valid {
		return
	}
	c.valid++
	compareFacts(t, types, s, n, read)
}

// canonical reports whether the library's form of a number is one that it reads as the same number, and is no longer
// than E.164 allows.
func canonical(form string) bool {
	again, err := phonenumbers.Parse(form, "")
	return err == nil && len(form) <= 1+maxDigits && len(form) > minDigits &&
		phonenumbers.Format(again, phonenumbers.E164) == form
}

// compareFacts holds what we and the library say of a number that is valid to both.
func compareFacts(t *testing.T, types map[phonenumbers.PhoneNumberType]LineType, s string, n Number,
	read *phonenumbers.PhoneNumber) {
	t.Helper()
	country := phonenumbers.GetRegionCodeForNumber(read)
	if country == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
		country = ""
	}
	if n.Country() != country {
		t.Errorf("%s: got country %q, the library %q", s, n.Country(), country)
	}
	if want := types[phonenumbers.GetNumberType(read)]; n.Type() != want {
		t.Errorf("%s: got type %s, the library %s", s, n.Type(), want)
	}
	if n.CallingCode() != int(read.GetCountryCode()) {
		t.Errorf("%s: got calling code %d, the library %d", s, n.CallingCode(), read.GetCountryCode())
	}
}

// TestLibrary proves that the compiled plans say the same as libphonenumber, which is slow but
// the source of the rules. DIALPROOF_SOAK=1 makes it a million numbers.
func TestLibrary(t *testing.T) {
	t.Parallel()
	count := 12_000
	if os.Getenv("DIALPROOF_SOAK") != "" {
		count = 1_000_000
	}
	var c comparison
	types := libraryTypes()
	known := examples(t)
	for _, s := range known {
		c.compare(t, types, s)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range count {
		if i%4 == 0 {
			c.compare(t, types, uniform(r))
		} else {
			c.compare(t, types, mutate(r, known[r.IntN(len(known))]))
		}
		if t.Failed() && i%1000 == 0 {
			break
		}
	}
	t.Logf("%d examples; %d numbers compared, %d of them valid, %d without the library's help",
		len(known), c.compared, c.valid, c.direct)
}

// TestPlans compiles every plan, so that no pattern of newer metadata surprises a deployment.
func TestPlans(t *testing.T) {
	t.Parallel()
	states, verdicts := 0, 0
	for _, p := range newTable() {
		if p == nil {
			continue
		}
		p.once.Do(p.compile)
		states += len(p.numbers.mark)
		verdicts += len(p.verdicts)
	}
	t.Logf("%d states, %d verdicts, %d kB", states, verdicts, (states*22+verdicts*4)/1024)
	if states > 100_000 {
		t.Errorf("%d states are more than the memory of a small machine should hold", states)
	}
}
