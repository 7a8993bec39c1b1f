package phone

import (
	"errors"
	"strings"
	"testing"
)

// code returns the code of an *Error, and fails the test for any other error.
func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got a %T, want an *Error", err)
	}
	return e.Code
}

func TestParseForms(t *testing.T) {
	t.Parallel()
	const london, drama = "+442079460958", "+447700900123"
	for name, c := range map[string]struct{ in, region, want string }{
		"canonical":                {drama, "", drama},
		"canonical and region":     {drama, "FR", drama},
		"E.123":                    {"+44 7700 900123", "", drama},
		"hyphens":                  {"+44-7700-900-123", "", drama},
		"dots":                     {"+44.7700.900.123", "", drama},
		"slashes":                  {"+44/7700/900123", "", drama},
		"parentheses":              {"+44 (7700) 900123", "", drama},
		"trunk zero":               {"+44 (0)7700 900123", "", drama},
		"trunk zero, no brackets":  {"+44 07700 900123", "", drama},
		"brackets round the code":  {"(+44) 7700 900123", "", drama},
		"outer spaces":             {"  +44 7700 900123  ", "", drama},
		"no-break spaces":          {"+44\u00a07700\u202f900\u2009123", "", drama},
		"ideographic space":        {"+44\u30007700\u3000900123", "", drama},
		"Unicode dashes":           {"+44\u20107700\u2011900\u2012\u2013\u2014\u2212123", "", drama},
		"full width":               {"＋４４　（０）７７００－９００．１２３", "", drama},
		"Arabic-Indic":             {"+٤٤ ٧٧٠٠ ٩٠٠١٢٣", "", drama},
		"Extended Arabic-Indic":    {"+۴۴ ۷۷۰۰ ۹۰۰۱۲۳", "", drama},
		"Devanagari":               {"+४४ ७७०० ९००१२३", "", drama},
		"mathematical digits":      {"+𝟒𝟒𝟳𝟳𝟬𝟬𝟿𝟶𝟶𝟏𝟐𝟑", "", drama},
		"bidi marks":               {"\u202a\u200e+44 7700 900123\u202c\u2069", "", drama},
		"zero-width and BOM":       {"\ufeff+44\u200b7700\u2060900\u00ad123", "", drama},
		"newline at the end":       {"+447700900123\r\n", "", drama},
		"tab at the start":         {"\t+447700900123", "", drama},
		"line separator":           {"\u2028+447700900123\u2029", "", drama},
		"tel and a newline":        {"\ntel:+447700900123\n", "", drama},
		"tilde":                    {"+44 7700~900123", "", drama},
		"wave dash":                {"+44〜7700～900123", "", drama},
		"middle dots":              {"+44·7700・900•123", "", drama},
		"variation selector":       {"+44\ufe0f7700900123", "", drama},
		"Bengali":                  {"+৪৪ ৭৭০০ ৯০০১২৩", "", drama},
		"Tibetan":                  {"+༤༤ ༧༧༠༠ ༩༠༠༡༢༣", "", drama},
		"Brazilian carrier":        {"+55 015 11 91234 5678", "", "+5511912345678"},
		"another carrier":          {"+55 (0) 21 21 91234-5678", "", "+5521912345678"},
		"carrier, national":        {"0 41 11 91234-5678", "BR", "+5511912345678"},
		"Mexican 044":              {"+52 044 55 1234 5678", "", "+525512345678"},
		"Mexican 045, national":    {"045 55 1234 5678", "MX", "+525512345678"},
		"Mexican 01":               {"+52 01 55 1234 5678", "", "+525512345678"},
		"tel":                      {"tel:+44-7700-900123", "", drama},
		"TEL":                      {"TEL:+447700900123", "", drama},
		"national":                 {"07700 900123", "GB", drama},
		"national, no trunk":       {"7700 900123", "GB", drama},
		"national tel":             {"tel:07700-900123", "GB", drama},
		"national full width":      {"０７７００９００１２３", "GB", drama},
		"IDD in region":            {"00 44 7700 900123", "FR", drama},
		"011 in region":            {"011 44 7700 900123", "US", drama},
		"calling code, no plus":    {"447700900123", "GB", drama},
		"fixed line":               {"(020) 7946 0958", "GB", london},
		"Italian zero":             {"+39 06 6988 1234", "", "+390669881234"},
		"Italian zero, national":   {"06 6988 1234", "IT", "+390669881234"},
		"Italian mobile":           {"+39 312 345 6789", "", "+393123456789"},
		"Argentina with 9":         {"+54 9 11 2345-6789", "", "+5491123456789"},
		"Argentina without 9":      {"+54 11 2345-6789", "", "+541123456789"},
		"Argentina with 15":        {"+54 11 15 2345-6789", "", "+5491123456789"},
		"Argentina national 15":    {"011 15 2345-6789", "AR", "+5491123456789"},
		"Mexico":                   {"+52 55 1234 5678", "", "+525512345678"},
		"Mexico with 1":            {"+52 1 55 1234 5678", "", "+525512345678"},
		"Mexico with 1, canonical": {"+5215512345678", "", "+525512345678"},
		"North America":            {"(201) 555-0123", "US", "+12015550123"},
		"Kazakhstan shares +7":     {"+7 701 234 5678", "", "+77012345678"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := Parse(c.in, c.region)
			if err != nil {
				t.Fatalf("got %v", err)
			}
			if n.E164() != c.want {
				t.Errorf("got %s, want %s", n.E164(), c.want)
			}
		})
	}
}

func TestParseRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, region, want string }{
		"empty":                   {"", "", CodeInvalid},
		"spaces":                  {"   ", "GB", CodeInvalid},
		"plus alone":              {"+", "", CodeInvalid},
		"two pluses":              {"++447700900123", "", CodeInvalid},
		"plus inside":             {"44+7700900123", "", CodeInvalid},
		"letters":                 {"+1 800 FLOWERS", "", CodeInvalid},
		"full-width letters":      {"+44 7700 900ＡＢＣ", "", CodeInvalid},
		"vanity, national":        {"1-800-FLOWERS", "US", CodeInvalid},
		"extension":               {"+44 20 7946 0958 x12", "", CodeInvalid},
		"RFC 3966 extension":      {"tel:+44-20-7946-0958;ext=12", "", CodeInvalid},
		"phone-context":           {"tel:7946;phone-context=+4420", "", CodeInvalid},
		"hash":                    {"+442079460958#12", "", CodeInvalid},
		"star code":               {"*21*07700900123#", "GB", CodeInvalid},
		"NUL":                     {"+447700900123\x00", "", CodeInvalid},
		"tab":                     {"+44\t7700900123", "", CodeInvalid},
		"newline inside":          {"+447700900123\n+447700900124", "", CodeInvalid},
		"C1 control":              {"+44\u00857700900123", "", CodeInvalid},
		"invalid UTF-8":           {"+447700900123\xff", "", CodeInvalid},
		"superscript digits":      {"+44770090012³", "", CodeInvalid},
		"emoji":                   {"+44 7700 900123 ☎", "", CodeInvalid},
		"65 bytes":                {"+447700900123" + strings.Repeat(" ", 52), "", CodeInvalid},
		"16 digits":               {"+4477009001234567", "", CodeInvalid},
		"25 digits":               {"0011447700900123456789012", "GB", CodeInvalid},
		"four digits":             {"+4477", "", CodeInvalid},
		"calling code 0":          {"+01 415 555 0123", "", CodeInvalid},
		"no region":               {"07700 900123", "", CodeRegionRequired},
		"no region, IDD":          {"00447700900123", "", CodeRegionRequired},
		"unknown region":          {"07700 900123", "UK", CodeUnknownRegion},
		"unknown region, +":       {"+447700900123", "XX", CodeUnknownRegion},
		"lower-case region":       {"07700 900123", "gb", CodeUnknownRegion},
		"region 001":              {"12345678", "001", CodeUnknownRegion},
		"no such calling code":    {"+999 123 456 789", "", CodeUnassigned},
		"no such range":           {"+44 7700 800", "", CodeUnassigned},
		"no such area":            {"+1 123 456 7890", "", CodeUnassigned},
		"too short for its plan":  {"+44 7400 1234", "", CodeUnassigned},
		"999":                     {"999", "GB", CodeShort},
		"911":                     {"911", "US", CodeShort},
		"112":                     {"112", "DE", CodeShort},
		"000":                     {"000", "AU", CodeShort},
		"116 123":                 {"116 123", "GB", CodeShort},
		"116 123 with the code":   {"+44 116123", "", CodeShort},
		"premium rate":            {"+44 909 012 3456", "", CodePremiumRate},
		"premium rate, US":        {"+1 900 234 5678", "", CodePremiumRate},
		"shared cost":             {"+39 848 123 456", "", CodeSharedCost},
		"UAN":                     {"+44 300 123 4567", "", CodeUAN},
		"pager":                   {"+44 76 4012 3456", "", CodePager},
		"voicemail":               {"+972 1 51 1234 5678", "", CodeVoicemail},
		"toll free":               {"+1 800 234 5678", "", CodeTollFree},
		"toll free, near fiction": {"+1 888 555 0123", "", CodeTollFree},
		"personal":                {"+44 70 1234 5678", "", CodePersonalNumber},
		"universal toll free":     {"+800 1234 5678", "", CodeTollFree},
		"universal shared cost":   {"+808 1234 5678", "", CodeSharedCost},
		"Inmarsat":                {"+870 301 234 567", "", CodeSatellite},
		"universal personal":      {"+878 10 1234567890", "", CodeSatellite},
		"Iridium":                 {"+881 612 345 678", "", CodeSatellite},
		"network 882":             {"+882 342 1234", "", CodeSatellite},
		"network 883":             {"+883 510 012 345", "", CodeSatellite},
		"disaster relief":         {"+888 12345678901", "", CodeUAN},
		"universal premium":       {"+979 123 456 789", "", CodePremiumRate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := Parse(c.in, c.region)
			if got := code(t, err); got != c.want {
				t.Fatalf("got code %q, want %q", got, c.want)
			}
			if !n.IsZero() {
				t.Errorf("a refused number was answered")
			}
			if text := err.Error(); strings.ContainsAny(text, "0123456789") && c.want != CodeUnknownRegion {
				t.Errorf("the error quotes digits: %q", text)
			}
		})
	}
}

func TestFromE164(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"+447400123456":   "",
		"+447700900123":   "",
		"+5491123456789":  "",
		"+541123456789":   "",
		"+390669881234":   "",
		"+12125550199":    "",
		"+449090123456":   CodePremiumRate, // readable, not to be sent to
		"+44740012345":    CodeUnassigned,
		"":                CodeInvalid,
		"447400123456":    CodeInvalid,
		"+44 7400123456":  CodeInvalid,
		"+4407400123456":  CodeInvalid, // not canonical: has a trunk zero
		"+5215512345678":  CodeInvalid, // not canonical: has Mexico's old 1
		"+54111523456789": CodeInvalid, // not canonical: Argentina's 15 is the 9 now
		"＋447400123456":   CodeInvalid,
		"+0447400123456":  CodeInvalid,
		"+999123456789":   CodeInvalid,
	} {
		n, err := FromE164(in)
		if got := code(t, err); got != want {
			t.Errorf("%q: got code %q, want %q", in, got, want)
			continue
		}
		if want == CodeInvalid != n.IsZero() || want != CodeInvalid && n.E164() != in {
			t.Errorf("%q: got %q", in, n.E164())
		}
		if p, err := Parse(in, ""); want == "" && (err != nil || p != n) {
			t.Errorf("%q: Parse and FromE164 differ", in)
		}
	}
}

func TestFromE164Allocates(t *testing.T) {
	// Not parallel: testing.AllocsPerRun refuses.
	for _, s := range mobiles() {
		if _, err := FromE164(s); err != nil { // compiles the plan
			t.Fatalf("%s: %v", s, err)
		}
		if allocs := testing.AllocsPerRun(100, func() { _, _ = FromE164(s) }); allocs != 0 {
			t.Errorf("%s: FromE164 allocates %v times", s, allocs)
		}
		if allocs := testing.AllocsPerRun(100, func() { _, _ = Parse(s, "") }); allocs != 0 {
			t.Errorf("%s: Parse allocates %v times", s, allocs)
		}
	}
}

// TestRetire: a number that newer metadata refuses is read as it was written down, and cannot be parsed any more.
func TestRetire(t *testing.T) {
	// Not parallel: nobody else may parse numbers of the calling code.
	const number = "+298211234" // of the Faroe Islands, which no other test uses
	before, err := Parse(number, "")
	if err != nil {
		t.Fatal(err)
	}
	restore := Retire(298)
	if n, err := Parse(number, ""); code(t, err) != CodeUnassigned || !n.IsZero() {
		t.Errorf("parsed as %s, %v", n, err)
	}
	n, err := FromE164(number)
	if code(t, err) != CodeUnassigned || n.E164() != number || n.CallingCode() != 298 || n.Country() != "FO" ||
		n.Mask() != before.Mask() {
		t.Errorf("read as %s, %v", n, err)
	}
	restore()
	if again, err := Parse(number, ""); err != nil || again != before {
		t.Errorf("afterwards %s, %v", again, err)
	}
}

// TestParseSaysWhatIsMissing: a whole number whose plus sign is lost, and one of another length, are told apart.
func TestParseSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	const plus, instead = "has no plus sign: add + before", "add + instead of it"
	for in, want := range map[string]string{
		"447700900123": plus, " 447700900123": plus, "44 7700 900123": plus, "12025550143": plus, "5491123456789": plus,
		"4915123456789": plus, "٤٤٧٧٠٠٩٠٠١٢٣": plus, "00447700900123": instead, "0044 7700 900123": instead,
		"011 44 7700 900123": instead, "0011 44 7700 900123": instead, "07700900123": "is in national form",
		"7700900123": "is in national form", "000000": "is in national form",
		"+4477009": "too short", "+44 7700 9": "too short", "+49 15": "too short",
		"+4477009001234": "too long", "+1 202 555 01234": "too long", "+55 11 91234 56789": "too long",
		"+0044 7700 900123": "zero after its plus", "+1": "too short",
		"+1 123 456 7890": "in no range",
	} {
		if _, err := Parse(in, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}
