package africastalking

import (
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// errorRow says what one of Africa's Talking's errors means for the next step.
type errorRow struct {
	// word is Africa's Talking's own name of the code.
	word string
	rest.Row
}

// errorTable has the codes of a recipient (developers.africastalking.com, "Sending bulk SMS", statusCode).
func errorTable() map[int]errorRow {
	return map[int]errorRow{
		401: {"RiskHold",
			rest.Means(channel.Refused, "the message is held back as a risk: ask Africa's Talking to clear the account")},
		402: {"InvalidSenderId", rest.Means(channel.Refused, "the sender is not registered for this app")},
		403: {"InvalidPhoneNumber", rest.Means(channel.Rejected, "the number is not valid")},
		404: {"UnsupportedNumberType", rest.Means(channel.Rejected, "the number is of a kind that gets no SMS")},
		405: {"InsufficientBalance", rest.Means(channel.Refused, "the app's balance is too low")},
		406: {"UserInBlacklist", rest.Means(channel.Rejected, "the person has opted out")},
		407: {"CouldNotRoute", rest.Means(channel.Unavailable, "Africa's Talking has no way to this number")},
		409: {"DoNotDisturbRejection",
			rest.Means(channel.Refused, "the sender counts as promotional: use a transactional one")},
		500: {"InternalServerError", rest.Means(channel.Unavailable, "Africa's Talking failed")},
		501: {"GatewayError", rest.Means(channel.Unavailable, "the way to the operator failed")},
		502: {"RejectedByGateway", rest.Means(channel.Unavailable, "the operator's gateway did not take the message")},
	}
}

// forAll judges an answer that names no recipient. Its message is the name of an error, or says that nothing was sent.
func forAll(message string) *channel.Error {
	for _, row := range errorTable() {
		if strings.EqualFold(message, row.word) {
			return row.Error(name, row.word)
		}
	}
	if strings.HasPrefix(message, "Sent to 0/") {
		return rest.Means(channel.Unavailable, "Africa's Talking sent it to nobody, and does not say why").
			Error(name, "none_sent")
	}
	return rest.NoID(name)
}

// failures are the reasons that a report gives (developers.africastalking.com, "SMS notifications", failureReason),
// lower case. The last two are statuses of their own.
func failures() map[string]channel.ErrorKind {
	return map[string]channel.ErrorKind{
		"insufficientcredit":         channel.Rejected, // the person's own airtime; only for paid content
		"invalidlinkid":              channel.Refused,
		"userisinactive":             channel.Rejected,
		"userinblacklist":            channel.Rejected,
		"useraccountsuspended":       channel.Rejected,
		"notnetworksubcriber":        channel.Unavailable, // ported: another route knows better. The spelling is theirs
		"notnetworksubscriber":       channel.Unavailable,
		"usernotsubscribedtoproduct": channel.Refused,
		"userdoesnotexist":           channel.Rejected,
		"deliveryfailure":            channel.Unavailable,
		"donotdisturbrejection":      channel.Refused,
		"absentsubscriber":           channel.Unavailable,
		"expired":                    channel.Unavailable,
	}
}
