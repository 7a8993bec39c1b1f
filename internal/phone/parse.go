package phone

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Parse returns the number that s says. s is at most 64 bytes: international with a plus sign,
// or, when region names the country to read it in (ISO 3166-1 alpha-2, upper case), as dialled
// there, with or without the trunk or international prefix. Digits may be of any script and
// separated as in ITU-T E.123; "tel:" before them is ignored. Letters, extensions and control
// characters are refused.
//
// The error is always an *Error. Numbers reserved for fiction are never refused, whatever
// their range.
func Parse(s, region string) (Number, error) {
	if region != "" && !phonenumbers.GetSupportedRegions()[region] {
		return Number{}, refuse(CodeUnknownRegion)
	}
	digits, plus := strict(s)
	if !plus {
		var fault *Error
		if digits, plus, fault = clean(s); fault != nil {
			return Number{}, fault
		}
	}
	var n Number
	var code string
	switch {
	case plus:
		n, code = settle(digits)
	case region == "":
		return Number{}, unprefixed(digits)
	default:
		n, code = national(digits, region)
	}
	if code != "" {
		return Number{}, misfit(digits, plus, code)
	}
	return n, nil
}

// unprefixed returns what is wrong with digits that came without a plus sign and without a region. Many are whole
// numbers: a plus sign in a query that was not escaped is read as a space, and others dial 00 or 011.
func unprefixed(digits string) *Error {
	for _, prefix := range []string{"", "00", "011", "0011", "010", "810"} {
		rest, had := strings.CutPrefix(digits, prefix)
		if _, code := settle(rest); !had || code != "" {
			continue
		}
		if prefix == "" {
			return &Error{Code: CodeRegionRequired, Detail: "has no plus sign: add + before the calling code"}
		}
		return &Error{Code: CodeRegionRequired, Detail: "begins with an international prefix: add + instead of it"}
	}
	return refuse(CodeRegionRequired)
}

// misfit returns the refusal of an international number, with what is wrong with its length when that is all.
func misfit(digits string, plus bool, code string) *Error {
	if !plus || code != CodeInvalid && code != CodeUnassigned {
		return refuse(code)
	}
	if digits[0] == '0' {
		return malformed("has a zero after its plus sign: no calling code begins with one")
	}
	read, err := phonenumbers.Parse("+"+digits, "")
	if err != nil {
		if len(digits) < minDigits {
			return malformed("is too short")
		}
		return refuse(code)
	}
	switch phonenumbers.IsPossibleNumberWithReason(read) {
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return &Error{Code: code, Detail: "is too short for its country"}
	case phonenumbers.TOO_LONG:
		return &Error{Code: code, Detail: "is too long for its country"}
	default:
		return refuse(code)
	}
}

// FromE164 returns the number whose canonical form is s, as Number.E164 gave it: no spaces, no
// trunk prefix. It allocates nothing when it succeeds.
//
// The error is always an *Error. Unless its code is CodeInvalid, the number is answered with
// it: a stored number must stay readable although newer metadata would refuse to send to it.
func FromE164(s string) (Number, error) {
	digits, ok := strict(s)
	if !ok {
		return Number{}, malformed("is not in canonical E.164 form")
	}
	n, code := settle(digits)
	if n.digits != value(digits) {
		return Number{}, malformed("is not in canonical E.164 form")
	}
	if code != "" {
		return n, refuse(code)
	}
	return n, nil
}

// settle returns the number of international digits in canonical form, and the code with which
// it is refused or "". CodeInvalid comes with no number.
func settle(digits string) (n Number, code string) {
	// A trunk prefix that was written behind the calling code, +44 (0)7700…, is for the library
	// to remove. Once is enough for every honest number; what still changes after that is none.
	const rounds = 2
	for range rounds {
		digits = withoutMexicanPrefix(digits)
		if len(digits) > maxDigits && len(digits) <= maxDialed {
			// A carrier selection code behind the calling code, +55 0 15 11 9…, makes it longer than a number is.
			if stripped := reparse("+"+digits, ""); stripped != "" && len(stripped) <= maxDigits {
				digits = stripped
				continue
			}
		}
		if len(digits) < minDigits || len(digits) > maxDigits || digits[0] == '0' {
			return Number{}, CodeInvalid
		}
		p := plans().find(digits)
		if p == nil {
			return Number{}, CodeUnassigned
		}
		v := p.judge(digits)
		if v.has(trunk) {
			if stripped := reparse("+"+digits, ""); stripped != digits {
				digits = stripped
				continue
			}
		}
		return p.number(value(digits), v), p.refusal(digits, v)
	}
	return Number{}, CodeInvalid
}

// national returns the number that digits mean when dialled in region.
func national(digits, region string) (n Number, code string) {
	if len(digits) <= maxShort && phonenumbers.ConnectsToEmergencyNumber(digits, region) {
		return Number{}, CodeShort
	}
	return settle(reparse(digits, region))
}

// reparse returns the international digits that libphonenumber reads in s, "" for none.
func reparse(s, region string) string {
	read, err := phonenumbers.Parse(s, region)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(phonenumbers.Format(read, phonenumbers.E164), "+")
}

// withoutMexicanPrefix drops what calls in Mexico carried after +52 until August 2019 (IFT numbering plan): 1 to a
// mobile from abroad, 044 and 045 to one from a landline, 01 to another city. Address books still have them; no Mexican
// number begins with 0 or 1.
func withoutMexicanPrefix(digits string) string {
	rest, mexican := strings.CutPrefix(digits, "52")
	if !mexican {
		return digits
	}
	for _, prefix := range []string{"1", "01", "044", "045"} {
		if number, had := strings.CutPrefix(rest, prefix); had && len(number) == 10 {
			return "52" + number
		}
	}
	return digits
}

// value returns digits as one number; they are at most maxDigits, so it fits.
func value(digits string) uint64 {
	var v uint64
	for i := range len(digits) {
		v = v*10 + uint64(digits[i]-'0')
	}
	return v
}
