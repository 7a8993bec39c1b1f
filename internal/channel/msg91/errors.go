package msg91

import (
	"encoding/json"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// label is a value that MSG91 writes with or without quotes; anything else reads as nothing.
type label string

// UnmarshalJSON takes text and numbers.
func (l *label) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*l = label(s)
		return nil
	}
	var n json.Number
	if json.Unmarshal(b, &n) == nil {
		*l = label(n)
	}
	return nil
}

// said is MSG91's answer to everything, in its two forms: {type, message, code} and {status, hasError, errors,
// apiError}.
type said struct {
	Type      string `json:"type"`
	Message   label  `json:"message"`
	RequestID label  `json:"request_id"`
	Code      label  `json:"code"`
	Status    label  `json:"status"`
	HasError  bool   `json:"hasError"`
	Errors    label  `json:"errors"`
	APIError  label  `json:"apiError"`
}

// isError reports whether the answer is a no.
func (t said) isError() bool { return t.Type == "error" || t.HasError || t.Status == "fail" }

// id returns the id of a message that was taken: flows say it as the message, other calls apart.
func (t said) id() string {
	if t.RequestID != "" {
		return string(t.RequestID)
	}
	return string(t.Message)
}

// errorRow says what one of MSG91's errors means for the next step.
type errorRow struct {
	// words tell the error in an answer without a code: one of them stands in the text, in any case.
	words []string
	rest.Row
}

// errorTable has MSG91's errors by its codes (the error codes of its help pages). Flows mostly answer words alone.
func errorTable() map[string]errorRow {
	return map[string]errorRow{
		"101": {[]string{"missing mobile", "mobile no. missing", "please provide valid mobile"},
			rest.Means(channel.Rejected, "the number is not valid")},
		"102": {[]string{"missing message"}, rest.Means(channel.Refused, "the message is empty: see the template")},
		"103": {[]string{"missing sender"}, rest.Means(channel.Refused, "the sender is missing")},
		"106": {[]string{"missing auth"}, rest.Means(channel.Refused, "the authkey is missing")},
		"107": {[]string{"missing route"}, rest.Means(channel.Refused, "the kind of route is missing")},
		"201": {[]string{"unauthorized", "authkey invalid"},
			rest.Means(channel.Refused, "MSG91 does not accept our authkey")},
		"202": {[]string{"invalid mobile", "mobile no. invalid", "invalid number"},
			rest.Means(channel.Rejected, "the number is not valid")},
		"203": {[]string{"invalid sender", "sender id"},
			rest.Means(channel.Refused, "the sender is not registered for this account")},
		"207": {[]string{"authentication fail", "invalid auth"},
			rest.Means(channel.Refused, "MSG91 does not accept our authkey")},
		"208": {[]string{"blacklisted ip", "ip is blacklisted"},
			rest.Means(channel.Refused, "MSG91 blocks this machine's address")},
		"301": {[]string{"insufficient balance", "balance"}, rest.Means(channel.Refused, "the account's balance is too low")},
		"302": {[]string{"expired user", "account expired"}, rest.Means(channel.Refused, "the account has expired")},
		"303": {[]string{"banned"}, rest.Means(channel.Refused, "the account is banned")},
		"306": {[]string{"route is currently unavailable", "9 am"},
			rest.Means(channel.Unavailable, "the route is closed at this hour")},
		"310": {[]string{"too long"}, rest.Means(channel.Refused, "the message is too long")},
		"311": {[]string{"generated twice", "duplicate request"},
			rest.Means(channel.MaybeSent, "MSG91 had the same request some seconds before, and may have sent that")},
		"400": {[]string{"template"}, rest.Means(channel.Refused, "the template is not known or not approved")},
		"418": {[]string{"ip not whitelisted", "whitelist"},
			rest.Means(channel.Refused, "the authkey's IP security does not let this machine in")},
	}
}

// order of the table where words decide: the particular before the general.
func byWords() []string {
	return []string{"101", "202", "102", "103", "106", "107", "208", "418", "207", "201", "400", "203", "301", "302",
		"303", "306", "310", "311"}
}

// refused judges a no. MSG91's words may repeat the number, so none of them is kept.
func (s *sender) refused(t said, a channel.Answer) *channel.Error {
	table := errorTable()
	for _, code := range []label{t.APIError, t.Code} {
		if row, known := table[string(code)]; known {
			return row.Error(name, string(code))
		}
	}
	text := strings.ToLower(string(t.Message) + " " + string(t.Errors))
	for _, code := range byWords() {
		for _, w := range table[code].words {
			if strings.Contains(text, w) {
				return table[code].Error(name, code)
			}
		}
	}
	if !rest.Good(a) {
		return s.api.Status(a)
	}
	return rest.Refused(name, "refused", "MSG91 did not take the message; SMS, Failed logs in the dashboard says why")
}
