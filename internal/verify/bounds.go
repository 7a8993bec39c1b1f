package verify

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/message"
)

// Bounds of a request.
const (
	MaxMetadata      = 20
	MaxMetadataKey   = 40
	MaxMetadataValue = 200
	MaxUserAgent     = 512
	MaxDeviceID      = 128
	MaxPayee         = 64
)

var (
	localeForm   = regexp.MustCompile(`^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$`)
	amountForm   = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,3})?$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
)

// checkStart returns every field of a start that is out of bounds.
func (s *Service) checkStart(c application.Caller, r StartRequest, p *Spec, life int) []Field {
	var out []Field
	add := func(ok bool, name, code, detail string) {
		if !ok {
			out = append(out, Field{Name: name, Code: code, Detail: detail})
		}
	}
	within := func(v, low, top int) bool { return v >= low && v <= top }
	add(r.Channel == "" || r.Channel.Valid(), "channel", "invalid_value", "is not a channel")
	add(r.Email == "" || p.Email != "", "email", "invalid_value",
		"must be a mail address like person@example.com, at most 254 characters")
	add(purposeForm(p.Purpose), "purpose", "invalid_value", "must be lower-case letters, digits and _, at most 32")
	add(p.Locale == "" || localeForm.MatchString(p.Locale), "locale", "invalid_locale",
		"must be a language tag like en or pt-BR")
	add(p.Alphabet == application.Digits || p.Alphabet == application.Alphanumeric, "code_alphabet", "invalid_value",
		"must be digits or alphanumeric")
	add(!r.Code.IsZero() || within(p.CodeLength, application.MinCodeLength, application.MaxCodeLength), "code_length",
		"out_of_range", "must be 6 to 10")
	add(within(life, application.MinExpiresIn, application.MaxExpiresIn), "expires_in", "out_of_range",
		"must be 60 to 600 seconds")
	add(within(p.MaxAttempts, 1, application.MaxMaxAttempts), "max_attempts", "out_of_range", "must be 1 to 10")
	if !r.Code.IsZero() {
		add(suppliedForm(r.Code), "code", "invalid_value", "must be 6 to 10 digits or upper-case letters")
		add(r.CodeLength == 0 || r.CodeLength == p.CodeLength, "code_length", "conflict",
			"does not fit the code that was given")
	}
	out = append(out, checkTransaction(r.Transaction)...)
	add(p.Purpose != PurposeMoney || r.Transaction != nil, "transaction", "required",
		"the purpose transaction needs amount, currency and payee")
	out = append(out, s.checkTrailer(c, r.Autofill)...)
	out = append(out, checkClient(r.Client)...)
	return append(out, checkMetadata(r.Metadata)...)
}

// maxPurpose bounds the name of a purpose, in bytes.
const maxPurpose = 32

// purposeForm reports whether a purpose is a name like sign_in.
func purposeForm(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= maxPurpose
}

// suppliedForm reports whether a code that the application supplied can be typed and keeps the entropy floor.
func suppliedForm(c message.Code) bool {
	s := c.Reveal()
	return len(s) >= application.MinCodeLength && len(s) <= application.MaxCodeLength &&
		!strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') })
}

// checkTransaction returns what is wrong with a payment.
func checkTransaction(t *message.Transaction) []Field {
	if t == nil {
		return nil
	}
	var out []Field
	if !amountForm.MatchString(t.Amount) {
		out = append(out, field("transaction.amount", "invalid_value", "must be a decimal number like 39.90"))
	}
	if !currencyForm.MatchString(t.Currency) {
		out = append(out, field("transaction.currency", "invalid_value", "must be an ISO 4217 code like EUR"))
	}
	if !plainText(t.Payee, 1, MaxPayee) {
		out = append(out, field("transaction.payee", "invalid_value", "must be 1 to %d characters of plain text", MaxPayee))
	}
	return out
}

func (s *Service) checkTrailer(c application.Caller, t message.Trailer) []Field {
	if t == (message.Trailer{}) {
		return nil
	}
	if err := message.ParseTrailer(t); err != nil {
		return []Field{messageField("autofill", err)}
	}
	// Whoever may name any host can phish with our sender ID.
	if t.Origin != "" && !s.mayBind(c, t) {
		return []Field{field("autofill.origin", "not_allowed", "is not among the application's origins")}
	}
	return nil
}

// mayBind reports whether a caller may have codes bound to a host: one of the application's, the deployment's own page,
// or a page that may show that one in a frame.
func (s *Service) mayBind(c application.Caller, t message.Trailer) bool {
	if t.Embedded != "" {
		return t.Embedded == s.Host && c.MayReturn("https://"+t.Origin)
	}
	return t.Origin == s.Host || slices.Contains(c.App.Policy.Origins, t.Origin) || c.Key.Mode == application.Test
}

func checkClient(c *Client) []Field {
	if c == nil {
		return nil
	}
	var out []Field
	if c.IP != "" {
		if _, err := netip.ParseAddr(c.IP); err != nil {
			out = append(out, field("client.ip", "invalid_value", "is not an IP address"))
		}
	}
	if !plainText(c.UserAgent, 0, MaxUserAgent) {
		out = append(out,
			field("client.user_agent", "invalid_value", "must be at most %d characters of plain text", MaxUserAgent))
	}
	if !plainText(c.DeviceID, 0, MaxDeviceID) {
		out = append(out,
			field("client.device_id", "invalid_value", "must be at most %d characters of plain text", MaxDeviceID))
	}
	return out
}

func checkMetadata(m map[string]string) []Field {
	if len(m) > MaxMetadata {
		return []Field{field("metadata", "too_many", "at most %d entries", MaxMetadata)}
	}
	for k, v := range m {
		if !plainText(k, 1, MaxMetadataKey) || !plainText(v, 0, MaxMetadataValue) {
			return []Field{field("metadata", "invalid_value", "keys have 1 to %d, values at most %d characters of plain text",
				MaxMetadataKey, MaxMetadataValue)}
		}
	}
	return nil
}

// plainText reports whether s has so many characters and no control character.
func plainText(s string, low, top int) bool {
	n := utf8.RuneCountInString(s)
	return utf8.ValidString(s) && n >= low && n <= top && !strings.ContainsFunc(s, unicode.IsControl)
}
