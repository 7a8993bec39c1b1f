package phone

import "strconv"

// LineType is what a range of numbers is assigned for. It says nothing about the handset: a
// number ported from a landline to a mobile keeps the type of its range.
type LineType uint8

// The line types of libphonenumber.
const (
	Unknown           LineType = iota
	Mobile                     // mobile service only
	FixedLine                  // landline only
	FixedLineOrMobile          // the plan does not tell the two apart, as in North America
	VoIP                       // Internet telephony, of no place
	TollFree                   // the called party pays
	PremiumRate                // the caller pays more than for the call
	SharedCost                 // caller and called party share the cost
	PersonalNumber             // routed to whatever the holder names; costs are unforeseeable
	Pager                      // no voice, no SMS
	UAN                        // universal access number of an organisation
	Voicemail                  // access to a mailbox
)

// String returns the type as it stands in logs and metrics: "fixed_line_or_mobile".
func (t LineType) String() string {
	names := [...]string{
		Unknown: "unknown", Mobile: "mobile", FixedLine: "fixed_line", FixedLineOrMobile: "fixed_line_or_mobile",
		VoIP: "voip", TollFree: "toll_free", PremiumRate: "premium_rate", SharedCost: "shared_cost",
		PersonalNumber: "personal_number", Pager: "pager", UAN: "uan", Voicemail: "voicemail",
	}
	if int(t) < len(names) {
		return names[t]
	}
	return "line_type_" + strconv.Itoa(int(t))
}

// refusal returns the code with which a number of this type is refused, "" when it may pass.
func (t LineType) refusal() string {
	switch t {
	case TollFree:
		return CodeTollFree
	case PremiumRate:
		return CodePremiumRate
	case SharedCost:
		return CodeSharedCost
	case PersonalNumber:
		return CodePersonalNumber
	case Pager:
		return CodePager
	case UAN:
		return CodeUAN
	case Voicemail:
		return CodeVoicemail
	default:
		return ""
	}
}
