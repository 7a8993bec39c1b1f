package message

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
)

var update = flag.Bool("update", false, "write testdata/texts.golden")

const (
	longCode  = "7081936254"
	longHost  = "login.accounts.example-bank.eu" // 30
	appHash   = "FA+9qCX9VSu"
	latin20   = "Brandname of Twenty."
	payee20   = "Payee Of Twenty Ltd."
	longMoney = "1234567.89"
)

func purposes() []string {
	return []string{Registration, Login, PasswordReset, ProfileChange, Payment, "newsletter"}
}

// brands are a brand of 20 characters in GSM-7 and one in the letters of the locale's own script.
func brands(locale string) []string {
	own := map[string]string{
		"ru": "Двадцатибуквенный Бр", "uk": "Двадцятилітерний Бре", "bg": "Двадесетбуквена Марк",
		"el": "Εικοσιγράμματη Μάρκα", "ar": "علامة تجارية من عشرين", "he": "מותג בן עשרים אותיות",
		"hi": "बीस अक्षरों का ब्रांड", "zh-Hans": "一个由二十个汉字组成的非常长的品牌名称呀",
		"ja": "二十文字でできたとても長いブランドの名前", "ko": "스무 글자로 이루어진 아주 긴 상표 이름임",
	}
	if b, ok := own[locale]; ok {
		return []string{latin20, b}
	}
	return []string{latin20}
}

func requestFor(locale, purpose, brand string, t Trailer) Request {
	r := Request{
		Purpose: purpose, Locale: locale, Brand: brand, Code: NewCode(longCode), ExpiresIn: 10 * time.Minute, Trailer: t,
	}
	if purpose == Payment {
		r.Transaction = &Transaction{Amount: longMoney, Currency: "EUR", Payee: payee20}
	}
	return r
}

// TestShippedTexts is the linter: what every text of ours must keep, in every language, with everything at its
// longest.
func TestShippedTexts(t *testing.T) {
	t.Parallel()
	trailers := []Trailer{{}, {Origin: longHost}, {AppHash: appHash}}
	for _, locale := range Locales() {
		for _, purpose := range purposes() {
			for _, brand := range brands(locale) {
				for _, trailer := range trailers {
					r := requestFor(locale, purpose, brand, trailer)
					text, err := Render(r)
					if err != nil {
						t.Fatalf("%s %s: %v", locale, purpose, err)
					}
					if problem := lintShipped(r, text); problem != "" {
						t.Errorf("%s %s %+v: %s\n%s", locale, purpose, trailer, problem, text.Body)
					}
				}
			}
		}
	}
}

// lintShipped returns what is wrong with a text of ours.
func lintShipped(r Request, text Text) string {
	body, ucs2 := text.Body, text.Encoding == UCS2
	_, wide := wide[text.Locale]
	switch e, parts, units := Measure(body); {
	case e != text.Encoding || parts != text.Parts || units != text.Units:
		return fmt.Sprintf("measured %v %d %d, is %v %d %d", text.Encoding, text.Parts, text.Units, e, parts, units)
	case text.Locale != r.Locale:
		return "locale " + text.Locale
	case parts != 1 && !(r.Transaction != nil && wide && r.Trailer != Trailer{}):
		return fmt.Sprintf("%d parts", parts)
	case ucs2 && !wide:
		return "is not GSM-7"
	case strings.ContainsAny(body, "{}"):
		return "has a placeholder left"
	case strings.Contains(body, "  ") || strings.Contains(body, ".."):
		return "has a gap"
	case !ucs2 && strings.ContainsAny(body, "‘’“”–—\u00a0`"):
		return "has typographer's characters"
	}
	return cmp.Or(lintHidden(r, body), lintCode(r, body), lintPayment(r, body))
}

func lintHidden(r Request, body string) string {
	if strings.IndexFunc(body, hiddenRune) >= 0 && r.Trailer == (Trailer{}) {
		return "has hidden characters"
	}
	return ""
}

func lintPayment(r Request, body string) string {
	if p := r.Transaction; p != nil &&
		!(hasMoney(body) && strings.Contains(body, p.Currency) && strings.Contains(body, p.Payee)) {
		return "does not name the payment"
	}
	return ""
}

// hasMoney reports whether a text has the digits of longMoney, however they are grouped.
func hasMoney(text string) bool {
	return strings.Contains(strings.NewReplacer(" ", "", "\u00a0", "", ",", "", ".", "", "'", "").Replace(text),
		"123456789")
}

func lintCode(r Request, body string) string {
	front, last, _ := strings.Cut(body, "\n")
	host, code, bound := ParseOriginBound(body)
	switch {
	case strings.Count(front, longCode) != 1:
		return "does not have the code once"
	case len([]rune(front[:strings.Index(front, longCode)])) > 8 &&
		!strings.HasPrefix(front, "["+r.Brand+"] "): // Koreans expect the brand first
		return "has the code late"
	case r.Trailer == Trailer{} && (last != "" || bound):
		return "has a second line"
	case r.Trailer.Origin != "" &&
		(!bound || host != longHost || code != longCode || last != "\n@"+longHost+" #"+longCode):
		return "does not end in its origin"
	case r.Trailer.AppHash != "" && (last != appHash || bound):
		return "does not end in its app hash"
	case r.Trailer.AppHash != "" && r.Transaction == nil && len(body) > maxRetrieverBytes:
		return "is too long for the retriever"
	}
	return ""
}

func TestGoldenTexts(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, locale := range Locales() {
		fmt.Fprintf(&b, "== %s\n", locale)
		for _, purpose := range purposes() {
			goldenPurpose(t, &b, locale, purpose)
		}
	}
	const path = "testdata/texts.golden"
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, b.Bytes()) {
		t.Error("the texts changed; look at them and run: go test ./internal/message -run Golden -update")
	}
}

// goldenPurpose prints a text with values of common length, without and with an origin, and the call.
func goldenPurpose(t *testing.T, b *bytes.Buffer, locale, purpose string) {
	t.Helper()
	r := Request{
		Purpose:   purpose,
		Locale:    locale,
		Brand:     "Acme Bank",
		Code:      NewCode("492817"),
		ExpiresIn: 10 * time.Minute,
	}
	if purpose == Payment {
		r.Transaction = &Transaction{Amount: "39.90", Currency: "EUR", Payee: "Kiosk Seven"}
	}
	for _, trailer := range []Trailer{{}, {Origin: "acme.example"}} {
		r.Trailer = trailer
		text, err := Render(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(b, "%s %v %d: %s\n", purpose, text.Encoding, text.Units, strings.ReplaceAll(text.Body, "\n", "⏎"))
	}
	call, err := Speak(r)
	if err != nil {
		t.Fatal(err)
	}
	if purpose == Registration {
		fmt.Fprintf(b, "prompt: %s\n", call.Prompt)
	}
	fmt.Fprintf(b, "call: %s\n", call.Script())
}

func TestRenderDegrades(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, locale, brand, host, want string }{
		{"all fits", "en", "Acme", "", "7081936254 is your Acme code to sign in. Never share it. We will never ask you " +
			"for it. Valid for 10 min."},
		{"a compound", "fi", "Acme", "", "7081936254 on Acme-koodisi kirjautumiseen. Älä kerro sitä kenellekään. Emme " +
			"koskaan kysy sitä. Voimassa 10 min."},
		{"a compound of several words", "fi", "Dev Shop", "", "7081936254 on Dev Shop -koodisi kirjautumiseen. Älä kerro " +
			"sitä kenellekään. Emme koskaan kysy sitä. Voimassa 10 min."},
		{"no compound", "de", "Dev Shop", "", "7081936254 ist Ihr Code von Dev Shop zur Anmeldung. Geben Sie ihn " +
			"niemandem weiter. Wir fragen nie danach. 10 Min. gültig."},
		{"a clause", "lv", "Acme", longHost, "7081936254 ir jusu Acme kods, lai pieteiktos. Neizpaudiet to. Mes nekad to " +
			"neprasisim. Derigs 10 min.\n\n@" + longHost + " #7081936254"},
		{"the brand first", "ko", "Acme", "", "[Acme] 로그인 인증번호 7081936254. 타인에게 알려주지 마세요. 10분간 유효합니다."},
		{"other Spanish", "es-MX", "Acme", "", "7081936254 es tu codigo de Acme para iniciar sesion. No lo compartas. " +
			"Nunca te lo pediremos. Valido por 10 min."},
		{"no purpose", "ru", "Почта", longHost, "7081936254 — код Почта.\n\n@" + longHost + " #7081936254"},
		{"a Latin brand is GSM-7", "ru", latin20, longHost, "7081936254 " + latin20 + "\n\n@" + longHost + " #7081936254"},
		{"the brand is cut", "ru", "Двадцатибуквенный Бр", longHost, "7081936254 Двадцатибуквен\n\n@" + longHost +
			" #7081936254"},
		{"no brand", "ru", "Почта", "a." + longHost + "." + longHost, "7081936254\n\n@a." + longHost + "." + longHost +
			" #7081936254"},
		{"a foreign brand in a Latin text", "en", "Почта", "", "7081936254 is your Почта code to sign in. Valid for 10 min."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text, err := Render(requestFor(tc.locale, Login, tc.brand, Trailer{Origin: tc.host}))
			if err != nil || text.Body != tc.want || text.Parts != 1 {
				t.Errorf("got %q in %d parts (%v)\nwant %q", text.Body, text.Parts, err, tc.want)
			}
		})
	}
}

// TestRenderMoney: amounts are written as people there write them, in what GSM-7 has, and said as they are said.
func TestRenderMoney(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ locale, country, amount, currency, written, said string }{
		{"de", "", "1234.5", "EUR", "Zahlung: 1.234,50 EUR an Kiosk.", "Zahlung: 1234,50 Euro an Kiosk."},
		{"de-CH", "", "1234.5", "CHF", "Zahlung: CHF 1'234.50 an Kiosk.", "Zahlung: 1234.50 Schweizer Franken an Kiosk."},
		{"", "CH", "1234.5", "CHF", "Zahlung: CHF 1'234.50 an Kiosk.", "Zahlung: 1234.50 Schweizer Franken an Kiosk."},
		{"de", "US", "1234.5", "EUR", "Zahlung: 1.234,50 EUR an Kiosk.", "Zahlung: 1234,50 Euro an Kiosk."},
		{"fr", "", "5", "TND", "Paiement de 5,000 TND à Kiosk.", "Paiement de 5 dinars tunisiens à Kiosk."},
		{"fr", "", "12345", "EUR", "Paiement de 12 345,00 EUR à Kiosk.", "Paiement de 12345 euros à Kiosk."},
		{"en", "DE", "1234.5", "EUR", "Payment of EUR 1,234.50 to Kiosk.", "Payment of 1234.50 euros to Kiosk."},
		{"", "IN", "1234567", "INR", "Payment of INR 12,34,567.00 to Kiosk.", "Payment of 1234567 Indian rupees to Kiosk."},
		{"es", "MX", "1234.5", "MXN", "Pago de MXN 1,234.50 a Kiosk.", "Pago de 1234.50 pesos mexicanos a Kiosk."},
		{"", "AR", "1234.5", "ARS", "Pago de ARS 1.234,50 a Kiosk.", "Pago de 1234,50 pesos argentinos a Kiosk."},
		{"ja", "", "1500", "JPY", "KioskへのJPY\u00a01,500のお支払い。", "Kioskへの1500円のお支払い。"},
		{"en", "", "twelve", "EUR", "Payment of EUR twelve to Kiosk.", "Payment of twelve EUR to Kiosk."},
	} {
		r := Request{
			Locale:      c.locale,
			Country:     c.country,
			Brand:       "Acme",
			Code:        NewCode("492817"),
			Purpose:     Payment,
			Transaction: &Transaction{c.amount, c.currency, "Kiosk"},
		}
		text, err := Render(r)
		if err != nil || !strings.Contains(text.Body, c.written) {
			t.Errorf("%+v: %q, %v", c, text.Body, err)
		}
		call, err := Speak(r)
		if err != nil || !strings.Contains(call.Intro, c.said) {
			t.Errorf("%+v: %q, %v", c, call.Intro, err)
		}
	}
}

func TestRenderLongPayment(t *testing.T) {
	t.Parallel()
	for _, locale := range Locales() {
		r := requestFor(locale, Login, strings.Repeat("Ж", MaxBrand), Trailer{Origin: longHost})
		r.Transaction = &Transaction{Amount: longMoney, Currency: "EUR", Payee: strings.Repeat("Я", 64)}
		text, err := Render(r)
		if err != nil || text.Parts < 2 || text.Parts > 3 || !strings.Contains(text.Body, r.Transaction.Payee) {
			t.Errorf("%s: %d parts, %v: %s", locale, text.Parts, err, text.Body)
		}
	}
}

// A text that is written right to left begins with a letter of that direction, else a code with Latin letters
// turns the paragraph round (Unicode UAX #9, P2).
func TestRightToLeft(t *testing.T) {
	t.Parallel()
	for _, locale := range []string{"ar", "fa", "he", "ur"} {
		for _, purpose := range purposes() {
			r := requestFor(locale, purpose, "Acme", Trailer{})
			r.Code = NewCode("A1B2C3D4E5")
			text, err := Render(r)
			if err != nil {
				t.Fatal(err)
			}
			first := text.Body[strings.IndexFunc(text.Body, unicode.IsLetter):]
			if !strings.ContainsRune("ركקک", []rune(first)[0]) {
				t.Errorf("%s %s: %s", locale, purpose, text.Body)
			}
		}
	}
}

func TestRenderMinutes(t *testing.T) {
	t.Parallel()
	for life, want := range map[time.Duration]bool{
		0: false, 59 * time.Second: false, time.Minute: true, time.Hour: true, 61 * time.Minute: false, -time.Minute: false,
	} {
		text, err := Render(Request{Brand: "Acme", Code: NewCode("492817"), ExpiresIn: life})
		if err != nil || strings.Contains(text.Body, "Valid") != want {
			t.Errorf("%v: %q (%v)", life, text.Body, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	money := func(amount, currency, payee string) *Transaction { return &Transaction{amount, currency, payee} }
	for name, tc := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"no brand":          {func(r *Request) { r.Brand = "" }, InvalidBrand},
		"long brand":        {func(r *Request) { r.Brand = strings.Repeat("é", 33) }, InvalidBrand},
		"two lines":         {func(r *Request) { r.Brand = "Acme\n@evil.example #1" }, InvalidBrand},
		"right to left":     {func(r *Request) { r.Brand = "Acme\u202e" }, InvalidBrand},
		"zero width":        {func(r *Request) { r.Brand = "Ac\u200bme" }, InvalidBrand},
		"host":              {func(r *Request) { r.Brand = "Evil.com" }, InvalidBrand},
		"host in a phrase":  {func(r *Request) { r.Brand = "go to (evil.co.uk)" }, InvalidBrand},
		"wide dot":          {func(r *Request) { r.Brand = "evil。com" }, InvalidBrand},
		"scheme":            {func(r *Request) { r.Brand = "HTTPS://x" }, InvalidBrand},
		"at":                {func(r *Request) { r.Brand = "@acme #1" }, InvalidBrand},
		"locale":            {func(r *Request) { r.Locale = "not a locale" }, InvalidLocale},
		"both trailers":     {func(r *Request) { r.Trailer = Trailer{Origin: longHost, AppHash: appHash} }, TrailerConflict},
		"payment missing":   {func(r *Request) { r.Purpose = Payment }, InvalidTransaction},
		"no amount":         {func(r *Request) { r.Transaction = money("", "EUR", "X") }, InvalidTransaction},
		"currency":          {func(r *Request) { r.Transaction = money("1", "eur", "X") }, InvalidTransaction},
		"payee two lines":   {func(r *Request) { r.Transaction = money("1", "EUR", "X\r\nY") }, InvalidTransaction},
		"payee with scheme": {func(r *Request) { r.Transaction = money("1", "EUR", "http://x") }, InvalidTransaction},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Request{Purpose: Login, Brand: "Acme", Code: NewCode(longCode)}
			tc.change(&r)
			_, err := Render(r)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != tc.want {
				t.Fatalf("got %v, want %s", err, tc.want)
			}
			if strings.Contains(err.Error(), longCode) {
				t.Error("the error has the code")
			}
			if _, err := Speak(r); (err == nil) != (tc.want == TrailerConflict) {
				t.Errorf("Speak: %v", err)
			}
		})
	}
}

func TestBrandsThatAreNames(t *testing.T) {
	t.Parallel()
	for _, brand := range []string{"St. Gallen Bank", "e.on", "Dr. Max", "A+B", "M&S", "3", "Café 24/7", "U.S. Bank",
		"دیجی‌کالا"} {
		if err := checkBrand(brand); err != nil {
			t.Errorf("%q: %v", brand, err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	for name, r := range map[string]Request{
		"en":             requestFor("en", Login, "Acme Bank", Trailer{}),
		"ru origin":      requestFor("ru", PasswordReset, "Почта", Trailer{Origin: "login.acme.example"}),
		"de-CH payment":  requestFor("de-CH", Payment, "Acme Bank", Trailer{}),
		"parsed zh-TW":   requestFor("zh-TW", Login, "Acme Bank", Trailer{}),
		"country of num": {Country: "BR", Brand: "Acme Bank", Code: NewCode("492817")},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Render(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
