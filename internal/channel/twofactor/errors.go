package twofactor

import (
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// errorRow says what one of 2Factor's errors means for the next step.
type errorRow struct {
	// words tell the error from others: all of them stand in 2Factor's text, in any case.
	words []string
	code  string
	rest.Row
}

// errorTable has 2Factor's errors. They have no numbers, only words, and no list of them is public: those about keys,
// numbers and templates are as the interface answers them, the others go by what they must say. The first row that fits
// counts.
func errorTable() []errorRow {
	return []errorRow{
		{[]string{"api", "key"}, "api_key", rest.Means(channel.Refused, "2Factor does not accept our API key")},
		{[]string{"invalid api"}, "api_key", rest.Means(channel.Refused, "2Factor does not accept our API key")},
		{[]string{"phone number"}, "phone_number", rest.Means(channel.Rejected, "the number is not valid")},
		{[]string{"mobile number"}, "phone_number", rest.Means(channel.Rejected, "the number is not valid")},
		{[]string{"block"}, "blocked", rest.Means(channel.Rejected, "the number is on the account's block list")},
		{[]string{"balance"}, "balance", rest.Means(channel.Refused, "the account's balance is too low")},
		{[]string{"credit"}, "balance", rest.Means(channel.Refused, "the account's balance is too low")},
		{[]string{"template"}, "template", rest.Means(channel.Refused, "the template is not known or not approved")},
		{[]string{"sender"}, "sender", rest.Means(channel.Refused, "the sender is not known or not approved")},
		{[]string{"header"}, "sender", rest.Means(channel.Refused, "the sender is not known or not approved")},
		{[]string{"ip", "allow"}, "ip", rest.Means(channel.Refused, "the account does not allow calls from this address")},
		{[]string{"ip", "whitelist"}, "ip",
			rest.Means(channel.Refused, "the account does not allow calls from this address")},
		{[]string{"limit"}, "limit", rest.Means(channel.Throttled, "2Factor asks for a pause")},
	}
}

// refused judges the words of an error. They may repeat the number or the text, so none of them is kept.
func refused(details string) *channel.Error {
	details = strings.ToLower(details)
	for _, row := range errorTable() {
		if hasAll(details, row.words) {
			return row.Error(name, row.code)
		}
	}
	return rest.Refused(name, "refused", "2Factor did not take the message; its log in the dashboard says why")
}

func hasAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
