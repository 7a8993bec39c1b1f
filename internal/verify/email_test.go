package verify

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
)

func TestParseEmail(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 94) + "example" // 195
	for in, want := range map[string]string{
		"person@example.com":                         "person@example.com",
		"Per.son+tag@Mail.EXAMPLE.com":               "Per.son+tag@mail.example.com",
		"o'neil@example.co.uk":                       "o'neil@example.co.uk",
		"a@bücher.example":                           "a@xn--bcher-kva.example",
		strings.Repeat("a", 64) + "@example.com":     strings.Repeat("a", 64) + "@example.com",
		strings.Repeat("a", 58) + "@" + long:         strings.Repeat("a", 58) + "@" + long,
		"":                                           "",
		"person":                                     "",
		"@example.com":                               "",
		"person@":                                    "",
		"person@localhost":                           "",
		"person@127.0.0.1":                           "",
		"person@[127.0.0.1]":                         "",
		"per son@example.com":                        "",
		".person@example.com":                        "",
		"per..son@example.com":                       "",
		"\"per son\"@example.com":                    "",
		"person@example.com\r\nBcc: x@example.com":   "",
		"x@example.com\r\nRCPT TO:<y@example.com":    "",
		"a@b@example.com":                            "",
		"person@-example.com":                        "",
		"person@exa_mple.com":                        "",
		"person@example.com.":                        "",
		"pérson@example.com":                         "",
		"<person@example.com>":                       "",
		"person@example.com,other@example.com":       "",
		strings.Repeat("a", 65) + "@example.com":     "",
		strings.Repeat("a", 64) + "@" + long:         "",
		"a@" + strings.Repeat("b", 64) + ".com":      "",
		"a@" + strings.Repeat("b.", 400) + "example": "",
	} {
		got, ok := ParseEmail(in)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %t, want %q", in, got, ok, want)
		}
	}
}

func TestMaskEmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"person@example.com": "p•••@example.com", "a@example.com": "a•••@example.com",
		"": ""} {
		if got := maskEmail(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestProves(t *testing.T) {
	t.Parallel()
	for want, kinds := range map[Proof][][]channel.Kind{
		ProvesPhone:  {{channel.SMS}, {channel.SMS, channel.Voice}, {channel.WhatsApp, channel.Telegram}},
		ProvesEmail:  {{channel.Email}, {channel.Email, channel.Email}},
		ProvesEither: {{channel.SMS, channel.Email}, {channel.Email, channel.SMS}, {channel.SMS, channel.Email, channel.SMS}},
	} {
		for _, k := range kinds {
			v := Verification{Channel: k[len(k)-1]}
			for _, one := range k {
				v.Deliveries = append(v.Deliveries, channel.Delivery{Channel: one, Status: channel.Failed})
			}
			if got := v.Proves(); got != want {
				t.Errorf("%v: %s, want %s", k, got, want)
			}
		}
	}
}

// FuzzParseEmail: what is taken is one address on one line, also to the standard library, and taken again as it is.
func FuzzParseEmail(f *testing.F) {
	f.Add("person@example.com")
	f.Add("a@bücher.example")
	f.Add("a@b\r\n.com")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseEmail(s)
		if !ok {
			return
		}
		if again, ok := ParseEmail(got); !ok || again != got {
			t.Errorf("%q became %q, which becomes %q", s, got, again)
		}
		if a, err := mail.ParseAddress(got); err != nil || a.Address != got || len(got) > MaxEmail ||
			strings.ContainsAny(got, "\r\n <>,;:\"\\") {
			t.Errorf("%q became %q: %v", s, got, err)
		}
	})
}

// TestForgetMail: after the retention time nothing of the address is left, and what was proven still shows.
func TestForgetMail(t *testing.T) {
	t.Parallel()
	v := Verification{
		Channel: channel.Email, Sealed: []byte("x"), Spec: Spec{Masked: "+44•••••••123", Email: "p•••@example.com"},
		Deliveries: []channel.Delivery{{Channel: channel.Email, ProviderID: "dlv_x"}},
	}
	v.Forget()
	if v.Spec.Email != "" || v.Sealed != nil || v.Proves() != ProvesEmail {
		t.Errorf("%+v proves %s", v, v.Proves())
	}
}
