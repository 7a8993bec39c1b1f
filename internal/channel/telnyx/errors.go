package telnyx

import (
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// fault is one error of Telnyx's.
type fault struct {
	Code label `json:"code"`
}

// label is a number that Telnyx writes in quotes, and its older parts without.
type label string

// UnmarshalJSON takes both forms.
func (l *label) UnmarshalJSON(b []byte) error {
	*l = label(strings.Trim(string(b), `"`))
	return nil
}

// errorTable has the errors that a text message meets, of a request (10xxx, 20xxx, 403xx) and of its delivery (400xx)
// (developers.telnyx.com, "Messaging Error Code Reference").
func errorTable() rest.Table {
	return rest.Table{
		"10001": rest.Means(channel.Refused, "the sender is not an active number"),
		"10002": rest.Means(channel.Rejected, "the number is not valid"),
		"10003": rest.Means(channel.Refused, "Telnyx does not accept the address for receipts: see public_url"),
		"10004": rest.Means(channel.Refused, "the request lacks a parameter"),
		"10005": rest.Means(channel.Refused, "the address is not known: see url"),
		"10006": rest.Means(channel.Refused, "an id is not valid: see messaging_profile_id"),
		"10007": rest.Means(channel.Unavailable, "Telnyx failed"),
		"10008": rest.Means(channel.MaybeSent, "the request took Telnyx too long"),
		"10009": rest.Means(channel.Refused, "Telnyx does not accept our api_key"),
		"10010": rest.Means(channel.Refused, "the api_key may not do this"),
		"10011": rest.Means(channel.Throttled, "too many requests at once"),
		"10015": rest.Means(channel.Refused, "the request is not understood"),
		"10016": rest.Means(channel.Refused, "a number is not in E.164: see the sender"),
		"10039": rest.Means(channel.Refused, "the account's level only reaches numbers that were verified before"),

		"20002": rest.Means(channel.Refused, "the api_key was revoked"),
		"20006": rest.Means(channel.Refused, "the access token has expired"),
		"20012": rest.Means(channel.Refused, "the account is not active, perhaps for lack of money"),
		"20013": rest.Means(channel.Refused, "the account is blocked"),
		"20014": rest.Means(channel.Refused, "the account is not verified"),
		"20015": rest.Means(channel.Refused, "the account lacks this feature"),
		"20016": rest.Means(channel.Refused, "the account is not verified at level 1"),
		"20017": rest.Means(channel.Refused, "the account is not verified at level 2"),
		"20100": rest.Means(channel.Refused, "the account's balance is too low"),

		"40001": rest.Means(channel.Rejected, "the number is a landline or cannot be routed"),
		"40002": rest.Means(channel.Unavailable, "a spam filter holds messages back for now"),
		"40003": rest.Means(channel.Refused, "a spam filter blocks the sender for good"),
		"40004": rest.Means(channel.Unavailable, "the number's carrier gave no known reason"),
		"40005": rest.Means(channel.Unavailable, "the message expired on its way"),
		"40006": rest.Means(channel.Unavailable, "the number's carrier is out of order"),
		"40008": rest.Means(channel.Unavailable, "the number's carrier did not take it"),
		"40009": rest.Means(channel.Refused, "the carrier does not accept the text"),
		"40010": rest.Means(channel.Refused, "the sender is not registered (10DLC)"),
		"40011": rest.Means(channel.Throttled, "too many messages at once for the carrier"),
		"40012": rest.Means(channel.Rejected, "the carrier does not know the number"),
		"40013": rest.Means(channel.Refused, "the carrier does not accept the sender"),
		"40014": rest.Means(channel.Unavailable, "the message expired in Telnyx's queue"),
		"40015": rest.Means(channel.Refused, "Telnyx's spam filter blocks the message"),
		"40016": rest.Means(channel.Refused, "the sender's daily limit at T-Mobile is used up (10DLC)"),
		"40017": rest.Means(channel.Refused, "AT&T takes the message for spam (10DLC)"),
		"40018": rest.Means(channel.Throttled, "the sender's limit at AT&T is used up (10DLC)"),
		"40100": rest.Means(channel.Refused, "the sender is not enabled for messages"),
		"40150": rest.Means(channel.Refused, "the toll-free sender is not in the registry"),
		"40151": rest.Means(channel.Refused, "another provider still holds the sender's messages"),

		"40300": rest.Means(channel.Rejected, "the person has opted out (STOP)"),
		"40301": rest.Means(channel.Refused, "no such message can go to the number"),
		"40302": rest.Means(channel.Refused, "the text is too long"),
		"40304": rest.Means(channel.Refused, "the contents do not go together"),
		"40305": rest.Means(channel.Refused, "the sender is not a number of the messaging profile"),
		"40306": rest.Means(channel.Refused, "the messaging profile has no sender of letters"),
		"40309": rest.Means(channel.Refused, "the messaging profile may not send to this country"),
		"40310": rest.Means(channel.Rejected, "the number is not valid"),
		"40311": rest.Means(channel.Refused, "the messaging profile's secret is wrong"),
		"40312": rest.Means(channel.Refused, "the messaging profile is switched off"),
		"40313": rest.Means(channel.Refused, "the messaging profile's secret is missing"),
		"40314": rest.Means(channel.Refused, "the account may not send messages"),
		"40315": rest.Means(channel.Refused, "Telnyx holds the sender back: too much of it is taken for spam"),
		"40316": rest.Means(channel.Refused, "the message has no text"),
		"40318": rest.Means(channel.Throttled, "the sender's queue is full"),
		"40319": rest.Means(channel.Refused, "no such message can go to this country"),
		"40320": rest.Means(channel.Unavailable, "the sender cannot be used yet"),
		"40321": rest.Means(channel.Refused, "the messaging profile has no number that can be used"),
		"40322": rest.Means(channel.Refused, "the text is blocked"),
		"40328": rest.Means(channel.Refused, "the text has too many parts"),
		"40329": rest.Means(channel.Refused, "the toll-free sender is not verified"),
		"40333": rest.Means(channel.Refused, "the messaging profile's daily spend limit is reached"),
	}
}

// refused judges an answer that is no yes.
func (s *sender) refused(a channel.Answer) *channel.Error {
	e := s.api.Status(a)
	var said struct {
		Errors []fault `json:"errors"`
	}
	if e.Kind == channel.MaybeSent || a.JSON(&said) != nil || len(said.Errors) == 0 {
		return e
	}
	code := string(said.Errors[0].Code)
	row, known := errorTable()[code]
	if !known || (e.Kind == channel.Unavailable && row.Kind != channel.MaybeSent) {
		return e
	}
	out := row.Error(name, code)
	out.RetryAfter = e.RetryAfter
	return out
}

// failure returns code and row of a message that failed.
func failure(p payload) (code string, row rest.Row) {
	code, row = p.status(), rest.Means(channel.Unavailable, "the message failed")
	if len(p.Errors) == 0 {
		return code, row
	}
	said := string(p.Errors[0].Code)
	if known, ok := errorTable()[said]; ok {
		return said, known
	}
	if n, ok := rest.Short(said, 5); ok {
		code = n
	}
	return code, row
}
