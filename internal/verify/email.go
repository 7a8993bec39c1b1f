package verify

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/limit"
)

// Proof is what a right code shows that the person holds.
type Proof string

// The proofs. Mail is no second factor (NIST SP 800-63B-4 §3.1.3.1: e-mail is not out-of-band authentication), so what
// went by mail is told apart from what went to the phone.
const (
	ProvesPhone Proof = "phone"
	ProvesEmail Proof = "email"
	// ProvesEither: the code went both ways, and nobody can tell which of the two the person read.
	ProvesEither Proof = "phone_or_email"
)

// Proofs returns every proof.
func Proofs() []Proof { return []Proof{ProvesPhone, ProvesEmail, ProvesEither} }

// Proves returns what a right code shows now. A delivery counts whatever became of it: one that is said to have failed
// may have arrived all the same.
func (v *Verification) Proves() Proof {
	mail, phone := v.Channel == channel.Email, v.Channel != channel.Email
	for _, d := range v.Deliveries {
		mail = mail || d.Channel == channel.Email
		phone = phone || d.Channel != channel.Email
	}
	switch {
	case mail && phone:
		return ProvesEither
	case mail:
		return ProvesEmail
	}
	return ProvesPhone
}

// Bounds of a mail address, in octets (RFC 5321 §4.5.3.1, with its erratum 1690 for the whole).
const (
	MaxEmail      = 254
	maxEmailLocal = 64
)

var (
	// emailLocal is RFC 5321's Dot-string. Quoted local parts are legal and nobody has one but attackers.
	emailLocal = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$")
	// emailDomain has at least two labels, and the last one is no number: address literals are not taken.
	emailDomain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)
)

// ParseEmail returns a mail address with its domain in lower case and ASCII; ok is false when it is none.
func ParseEmail(s string) (address string, ok bool) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || len(s) > 2*MaxEmail || !utf8.ValidString(s) {
		return "", false
	}
	local := s[:at]
	domain, err := idna.Lookup.ToASCII(s[at+1:])
	if err != nil || len(local) > maxEmailLocal || len(local)+1+len(domain) > MaxEmail {
		return "", false
	}
	domain = strings.ToLower(domain)
	if !emailLocal.MatchString(local) || !emailDomain.MatchString(domain) {
		return "", false
	}
	return local + "@" + domain, true
}

// maskEmail returns "p•••@example.com". The dots are always three: the length is the person's as well.
func maskEmail(address string) string {
	local, domain, ok := strings.Cut(address, "@")
	if !ok {
		return ""
	}
	return local[:1] + "•••@" + domain
}

// emailRates are the limits of starts for one address. Without them, many numbers could fill one mailbox.
func emailRates() []limit.Rate {
	return []limit.Rate{
		{Name: "email_hour", Burst: 5, Period: time.Hour},
		{Name: "email_day", Burst: 10, Period: 24 * time.Hour},
	}
}

// emailLimits returns the limits that a start with an address takes.
func (s *Service) emailLimits(c application.Caller, address string) (out []keyedRate) {
	if address == "" {
		return nil
	}
	for _, r := range emailRates() {
		out = append(out,
			keyedRate{s.Ring.Lookup([]byte("email"), c.App.ID[:], []byte(strings.ToLower(address)), []byte(r.Name)), r})
	}
	return out
}

// needsEmail returns the refusal of a channel that lacks its address, or nil.
func needsEmail(kind channel.Kind, address string) error {
	if kind != channel.Email || address != "" {
		return nil
	}
	return fail(CodeEmailRequired, "the channel email needs the person's mail address: give it as email when you start")
}
