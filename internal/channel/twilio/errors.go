package twilio

import (
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
)

// errorRow says what one of Twilio's error codes means for the next step.
type errorRow struct {
	kind   channel.ErrorKind
	detail string
}

// errorTable has the codes that a verification meets, of messages and of calls (twilio.com/docs/api/errors). Twilio warns that the list grows:
// a code that is not here is judged by its HTTP status.
func errorTable() map[string]errorRow {
	return map[string]errorRow{
		"10001": {channel.Refused, "the account is not active"},
		"20003": {channel.Refused, "Twilio does not accept our credentials"},
		"20005": {channel.Refused, "the account is not active"},
		"20404": {channel.Refused, "the account or messaging service does not exist"},
		"20429": {channel.Throttled, "too many requests at once"},
		"21201": {channel.Refused, "the call has no number to go to"},
		"21205": {channel.Refused, "Twilio does not accept public_url"},
		"21210": {channel.Refused, "the calling number is neither the account's nor verified"},
		"21211": {channel.Rejected, "the number is not valid"},
		"21212": {channel.Refused, "the sender is not valid"},
		"21213": {channel.Refused, "the calling number is missing"},
		"21214": {channel.Rejected, "the number cannot be reached by a call"},
		"21215": {channel.Refused, "the account may not call this country: see geo permissions"},
		"21216": {channel.Refused, "the account may not call this number"},
		"21217": {channel.Rejected, "the number is not valid"},
		"21219": {channel.Refused, "the account is on trial: only verified numbers can be called"},
		"21408": {channel.Refused, "the account may not send to this country: see geo permissions"},
		"21601": {channel.Refused, "the sender cannot send SMS"},
		"21606": {channel.Refused, "the sender is not a number of the account that can send SMS"},
		"21608": {channel.Refused, "the account is on trial: only verified numbers can be reached"},
		"21610": {channel.Rejected, "the person has opted out of this sender (STOP)"},
		"21611": {channel.Throttled, "the queue of the sender is full"},
		"21612": {channel.Refused, "no way from this sender to this number"},
		"21614": {channel.Rejected, "the number is not a mobile number"},
		"21617": {channel.Refused, "the text is too long"},
		"21635": {channel.Rejected, "the number is a landline"},
		"21660": {channel.Refused, "the sender does not belong to the account"},
		"21703": {channel.Refused, "the messaging service has no sender"},
		"21704": {channel.Refused, "the messaging service has no sender for this country"},
		"30001": {channel.Unavailable, "the queue overflowed"},
		"30002": {channel.Refused, "the account is suspended"},
		"30003": {channel.Unavailable, "the handset is switched off or out of reach"},
		"30004": {channel.Rejected, "the message was blocked at the handset's side"},
		"30005": {channel.Rejected, "the handset does not exist"},
		"30006": {channel.Rejected, "the number is a landline or its carrier cannot be reached"},
		"30007": {channel.Refused, "the carrier filtered the message"},
		"30008": {channel.Unavailable, "the carrier gave no reason"},
		"30009": {channel.Unavailable, "a part of the message was lost"},
		"30010": {channel.Refused, "the message costs more than is allowed"},
		"30017": {channel.Throttled, "the carrier is congested"},
		"30022": {channel.Throttled, "too many messages at once for the campaign (10DLC)"},
		"30023": {channel.Refused, "the day's messages of the brand are used up (10DLC)"},
		"30024": {channel.Refused, "the sender is not provisioned at the carrier"},
		"30032": {channel.Refused, "the toll-free number is not verified"},
		"30034": {channel.Refused, "the sender is not registered (10DLC)"},
		"30036": {channel.Unavailable, "the validity period was over before it was sent"},
		"30410": {channel.Unavailable, "the carrier took too long"},
		"30450": {channel.Rejected, "Twilio takes it for SMS pumping"},
		"60410": {channel.Rejected, "the number is blocked for suspected fraud"},
	}
}

// coded answers the error of one of Twilio's codes.
func coded(code string, otherwise channel.ErrorKind) *channel.Error {
	row, known := errorTable()[code]
	if !known {
		row = errorRow{otherwise, "Twilio's error " + digits(code)}
	}
	return &channel.Error{Kind: row.kind, Provider: name, About: about(code), Code: digits(code), Detail: row.detail}
}

// about answers what one of Twilio's codes is about, where it says more than its kind does.
func about(code string) channel.Subject {
	switch code {
	case "10001", "20003", "20005", "20404", "30002":
		return channel.OfAccount
	case "21215", "21216", "21408":
		return channel.OfDestination
	}
	return ""
}

// digits keeps a code of somebody else's harmless.
func digits(s string) string {
	if len(s) > 6 || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return "unreadable"
	}
	return s
}
