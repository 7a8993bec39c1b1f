package twilio

import (
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// errorTable has the codes that a verification meets, of messages and of calls (twilio.com/docs/api/errors). Twilio
// warns that the list grows: a code that is not here is judged by its HTTP status.
func errorTable() rest.Table {
	return rest.Table{
		"10001": rest.Means(channel.Refused, "the account is not active"),
		"20003": rest.Means(channel.Refused, "Twilio does not accept our credentials"),
		"20005": rest.Means(channel.Refused, "the account is not active"),
		"20404": rest.Means(channel.Refused, "the account or messaging service does not exist"),
		"20429": rest.Means(channel.Throttled, "too many requests at once"),
		"21201": rest.Means(channel.Refused, "the call has no number to go to"),
		"21205": rest.Means(channel.Refused, "Twilio does not accept public_url"),
		"21210": rest.Means(channel.Refused, "the calling number is neither the account's nor verified"),
		"21211": rest.Means(channel.Rejected, "the number is not valid"),
		"21212": rest.Means(channel.Refused, "the sender is not valid"),
		"21213": rest.Means(channel.Refused, "the calling number is missing"),
		"21214": rest.Means(channel.Rejected, "the number cannot be reached by a call"),
		"21215": rest.Means(channel.Refused, "the account may not call this country: see geo permissions"),
		"21216": rest.Means(channel.Refused, "the account may not call this number"),
		"21217": rest.Means(channel.Rejected, "the number is not valid"),
		"21219": rest.Means(channel.Refused, "the account is on trial: only verified numbers can be called"),
		"21408": rest.Means(channel.Refused, "the account may not send to this country: see geo permissions"),
		"21601": rest.Means(channel.Refused, "the sender cannot send SMS"),
		"21606": rest.Means(channel.Refused, "the sender is not a number of the account that can send SMS"),
		"21608": rest.Means(channel.Refused, "the account is on trial: only verified numbers can be reached"),
		"21610": rest.Means(channel.Rejected, "the person has opted out of this sender (STOP)"),
		"21611": rest.Means(channel.Throttled, "the queue of the sender is full"),
		"21612": rest.Means(channel.Refused, "no way from this sender to this number"),
		"21614": rest.Means(channel.Rejected, "the number is not a mobile number"),
		"21617": rest.Means(channel.Refused, "the text is too long"),
		"21635": rest.Means(channel.Rejected, "the number is a landline"),
		"21660": rest.Means(channel.Refused, "the sender does not belong to the account"),
		"21703": rest.Means(channel.Refused, "the messaging service has no sender"),
		"21704": rest.Means(channel.Refused, "the messaging service has no sender for this country"),
		"30001": rest.Means(channel.Unavailable, "the queue overflowed"),
		"30002": rest.Means(channel.Refused, "the account is suspended"),
		"30003": rest.Means(channel.Unavailable, "the handset is switched off or out of reach"),
		"30004": rest.Means(channel.Rejected, "the message was blocked at the handset's side"),
		"30005": rest.Means(channel.Rejected, "the handset does not exist"),
		"30006": rest.Means(channel.Rejected, "the number is a landline or its carrier cannot be reached"),
		"30007": rest.Means(channel.Refused, "the carrier filtered the message"),
		"30008": rest.Means(channel.Unavailable, "the carrier gave no reason"),
		"30009": rest.Means(channel.Unavailable, "a part of the message was lost"),
		"30010": rest.Means(channel.Refused, "the message costs more than is allowed"),
		"30017": rest.Means(channel.Throttled, "the carrier is congested"),
		"30022": rest.Means(channel.Throttled, "too many messages at once for the campaign (10DLC)"),
		"30023": rest.Means(channel.Refused, "the day's messages of the brand are used up (10DLC)"),
		"30024": rest.Means(channel.Refused, "the sender is not provisioned at the carrier"),
		"30032": rest.Means(channel.Refused, "the toll-free number is not verified"),
		"30034": rest.Means(channel.Refused, "the sender is not registered (10DLC)"),
		"30036": rest.Means(channel.Unavailable, "the validity period was over before it was sent"),
		"30410": rest.Means(channel.Unavailable, "the carrier took too long"),
		"30450": rest.Means(channel.Rejected, "Twilio takes it for SMS pumping"),
		"60410": rest.Means(channel.Rejected, "the number is blocked for suspected fraud"),
	}
}

// coded returns the error of one of Twilio's codes.
func coded(code string, otherwise channel.ErrorKind) *channel.Error {
	row, known := errorTable()[code]
	if !known {
		row = rest.Means(otherwise, "Twilio's error "+digits(code))
	}
	e := row.Error(name, digits(code))
	e.About = about(code)
	return e
}

// about returns what one of Twilio's codes is about, where it says more than its kind does.
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
