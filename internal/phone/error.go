package phone

// The codes of Error. They are part of the HTTP API: never change one.
const (
	CodeInvalid        = "invalid_number"      // it cannot be a number at all
	CodeRegionRequired = "region_required"     // national form and no region to read it in
	CodeUnknownRegion  = "unknown_region"      // the region is not a country with numbers
	CodeUnassigned     = "unassigned_number"   // in no range that is in use
	CodeShort          = "short_code"          // emergency and other short numbers
	CodePremiumRate    = "premium_rate_number" // the receiver or the sender pays a premium
	CodeSharedCost     = "shared_cost_number"  // as above, a share of it
	CodeUAN            = "uan_number"          // an organisation's switchboard
	CodePager          = "pager_number"        // cannot show a code
	CodeVoicemail      = "voicemail_number"    // a mailbox, not a person's handset
	CodeTollFree       = "toll_free_number"    // not a person's handset
	CodePersonalNumber = "personal_number"     // forwards anywhere, at any price
	CodeSatellite      = "satellite_number"    // satellite and global networks: dear, a fraud target
)

// Error is why a text is not taken as a number. It never holds the number.
type Error struct {
	Code   string // one of the Code constants
	Detail string // one clause for people, to follow the name of the field
}

// Error returns the detail.
func (e *Error) Error() string { return "phone number " + e.Detail }

// refuse returns the error for code with its usual detail.
func refuse(code string) *Error { return &Error{Code: code, Detail: detail(code)} }

// malformed returns CodeInvalid for one particular reason.
func malformed(detail string) *Error { return &Error{Code: CodeInvalid, Detail: detail} }

func detail(code string) string {
	switch code {
	case CodeRegionRequired:
		return "is in national form: write it with + and the calling code, or name its region"
	case CodeUnknownRegion:
		return "cannot be read: the region is not a country with phone numbers (ISO 3166-1 alpha-2)"
	case CodeUnassigned:
		return "is in no range that is in use"
	case CodeShort:
		return "is a short code"
	case CodePremiumRate:
		return "is a premium-rate number"
	case CodeSharedCost:
		return "is a shared-cost number"
	case CodeUAN:
		return "is an organisation's access number"
	case CodePager:
		return "is a pager"
	case CodeVoicemail:
		return "is a voicemail box"
	case CodeTollFree:
		return "is a toll-free number"
	case CodePersonalNumber:
		return "is a personal (forwarding) number"
	case CodeSatellite:
		return "is in a satellite or global network"
	default:
		return "is not a phone number"
	}
}
