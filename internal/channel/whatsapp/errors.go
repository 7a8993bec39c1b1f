package whatsapp

import (
	"strconv"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// errorTable has the errors that a template message meets (developers.facebook.com, WhatsApp, "Error codes"), of
// requests and of receipts. Meta says a number that has no WhatsApp only in the receipt, by 131026.
func errorTable() rest.Table {
	return rest.Table{
		"0":      rest.Means(channel.Refused, "Meta does not accept the access token"),
		"1":      rest.Means(channel.Unavailable, "Meta's platform failed"),
		"2":      rest.Means(channel.Unavailable, "Meta's platform is out of order"),
		"3":      rest.Means(channel.Refused, "the access token lacks a permission"),
		"4":      rest.Means(channel.Throttled, "too many calls at once for the app"),
		"10":     rest.Means(channel.Refused, "the access token lacks a permission"),
		"33":     rest.Means(channel.Refused, "the sending number was deleted"),
		"100":    rest.Means(channel.Refused, "a parameter is not valid: see phone_number_id and version"),
		"190":    rest.Means(channel.Refused, "the access token has expired or was revoked"),
		"368":    rest.Means(channel.Refused, "the account is blocked for a time: it broke a policy"),
		"80007":  rest.Means(channel.Throttled, "too many calls at once for the account"),
		"130429": rest.Means(channel.Throttled, "too many messages at once"),
		"130472": rest.Means(channel.Rejected, "the person is part of an experiment of Meta's and gets no such messages"),
		"130497": rest.Means(channel.Refused, "the account may not write to this country"),
		"131000": rest.Means(channel.Unavailable, "Meta failed for no known reason"),
		"131005": rest.Means(channel.Refused, "the access token lacks a permission"),
		"131008": rest.Means(channel.Refused, "a parameter is missing"),
		"131009": rest.Means(channel.Refused, "a parameter is not valid"),
		"131016": rest.Means(channel.Unavailable, "WhatsApp is out of order"),
		"131021": rest.Means(channel.Rejected, "the number is the sending one"),
		"131026": rest.Means(channel.Rejected, "the number has no WhatsApp, or one that is too old"),
		"131030": rest.Means(channel.Refused, "the app is in its trial: only numbers on its list can be reached"),
		"131031": rest.Means(channel.Refused, "the account is locked"),
		"131037": rest.Means(channel.Refused, "the sending number's display name is not approved"),
		"131042": rest.Means(channel.Refused, "the account's payment method has a problem"),
		"131045": rest.Means(channel.Refused, "the sending number is not registered"),
		"131048": rest.Means(channel.Throttled, "too many of the account's messages were marked as spam"),
		"131049": rest.Means(channel.Rejected, "Meta spares this person a message now"),
		"131051": rest.Means(channel.Refused, "the type of message is not supported"),
		"131053": rest.Means(channel.Refused, "the template's media cannot be used"),
		"131055": rest.Means(channel.Refused, "the number may not send this"),
		"131056": rest.Means(channel.Throttled, "too many messages to this number"),
		"131057": rest.Means(channel.Unavailable, "the account is being maintained"),
		"132000": rest.Means(channel.Refused,
			"the template takes another number of parameters: is it one with a code button?"),
		"132001": rest.Means(channel.Refused, "the template does not exist in this language, or is not approved"),
		"132005": rest.Means(channel.Refused, "the template's text became too long"),
		"132007": rest.Means(channel.Refused, "the template breaks a policy"),
		"132012": rest.Means(channel.Refused, "the template takes other parameters: is it one with a code button?"),
		"132015": rest.Means(channel.Refused, "the template is paused because of low quality"),
		"132016": rest.Means(channel.Refused, "the template is disabled because of low quality"),
		"132018": rest.Means(channel.Refused, "a parameter of the template is not valid"),
		"133004": rest.Means(channel.Unavailable, "the server is out of order for a time"),
		"133010": rest.Means(channel.Refused, "the sending number is not registered"),
		"135000": rest.Means(channel.Refused, "the request is not understood"),
	}
}

// known returns the row of a code. The codes 200 to 299 all speak of permissions.
func known(code int) (rest.Row, bool) {
	if code >= 200 && code <= 299 {
		return rest.Means(channel.Refused, "the access token lacks a permission"), true
	}
	row, ok := errorTable()[strconv.Itoa(code)]
	return row, ok
}

// refused judges an answer that is no yes. Meta answers most errors with 400, so that the code says more than the
// status; but what it answers with 5xx was not taken.
func (s *sender) refused(a channel.Answer) *channel.Error {
	e := s.api.Status(a)
	var said struct {
		Error *struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	if a.JSON(&said) != nil || said.Error == nil || e.Kind == channel.Unavailable || e.Kind == channel.MaybeSent {
		return e
	}
	row, ok := known(said.Error.Code)
	if !ok {
		return e
	}
	if e.Kind != channel.Throttled {
		e.Kind = row.Kind
	}
	e.Code, e.Detail = strconv.Itoa(said.Error.Code), row.Detail
	return e
}
