package whatsapp

import (
	"strconv"

	"github.com/dialproof/dialproof/internal/channel"
)

// errorRow says what one of Meta's errors means for the next step.
type errorRow struct {
	kind   channel.ErrorKind
	detail string
}

// errorTable has the errors that a template message meets (developers.facebook.com, WhatsApp, "Error codes"), of requests and
// of receipts. Meta says a number that has no WhatsApp only in the receipt, by 131026.
func errorTable() map[int]errorRow {
	return map[int]errorRow{
		0:      {channel.Refused, "Meta does not accept the access token"},
		1:      {channel.Unavailable, "Meta's platform failed"},
		2:      {channel.Unavailable, "Meta's platform is out of order"},
		3:      {channel.Refused, "the access token lacks a permission"},
		4:      {channel.Throttled, "too many calls at once for the app"},
		10:     {channel.Refused, "the access token lacks a permission"},
		33:     {channel.Refused, "the sending number was deleted"},
		100:    {channel.Refused, "a parameter is not valid: see phone_number_id and version"},
		190:    {channel.Refused, "the access token has expired or was revoked"},
		368:    {channel.Refused, "the account is blocked for a time: it broke a policy"},
		80007:  {channel.Throttled, "too many calls at once for the account"},
		130429: {channel.Throttled, "too many messages at once"},
		130472: {channel.Rejected, "the person is part of an experiment of Meta's and gets no such messages"},
		130497: {channel.Refused, "the account may not write to this country"},
		131000: {channel.Unavailable, "Meta failed for no known reason"},
		131005: {channel.Refused, "the access token lacks a permission"},
		131008: {channel.Refused, "a parameter is missing"},
		131009: {channel.Refused, "a parameter is not valid"},
		131016: {channel.Unavailable, "WhatsApp is out of order"},
		131021: {channel.Rejected, "the number is the sending one"},
		131026: {channel.Rejected, "the number has no WhatsApp, or one that is too old"},
		131030: {channel.Refused, "the app is in its trial: only numbers on its list can be reached"},
		131031: {channel.Refused, "the account is locked"},
		131037: {channel.Refused, "the sending number's display name is not approved"},
		131042: {channel.Refused, "the account's payment method has a problem"},
		131045: {channel.Refused, "the sending number is not registered"},
		131048: {channel.Throttled, "too many of the account's messages were marked as spam"},
		131049: {channel.Rejected, "Meta spares this person a message now"},
		131051: {channel.Refused, "the type of message is not supported"},
		131053: {channel.Refused, "the template's media cannot be used"},
		131055: {channel.Refused, "the number may not send this"},
		131056: {channel.Throttled, "too many messages to this number"},
		131057: {channel.Unavailable, "the account is being maintained"},
		132000: {channel.Refused, "the template takes another number of parameters: is it one with a code button?"},
		132001: {channel.Refused, "the template does not exist in this language, or is not approved"},
		132005: {channel.Refused, "the template's text became too long"},
		132007: {channel.Refused, "the template breaks a policy"},
		132012: {channel.Refused, "the template takes other parameters: is it one with a code button?"},
		132015: {channel.Refused, "the template is paused because of low quality"},
		132016: {channel.Refused, "the template is disabled because of low quality"},
		132018: {channel.Refused, "a parameter of the template is not valid"},
		133004: {channel.Unavailable, "the server is out of order for a time"},
		133010: {channel.Refused, "the sending number is not registered"},
		135000: {channel.Refused, "the request is not understood"},
	}
}

// known answers the row of a code. The codes 200 to 299 all speak of permissions.
func known(code int) (errorRow, bool) {
	if code >= 200 && code <= 299 {
		return errorRow{channel.Refused, "the access token lacks a permission"}, true
	}
	row, ok := errorTable()[code]
	return row, ok
}

// refused judges an answer that is no yes. Meta answers most errors with 400, so that the code says more than the status;
// but what it answers with 5xx was not taken.
func (s *sender) refused(a channel.Answer) *channel.Error {
	e := channel.StatusError(name, a, s.now())
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
		e.Kind = row.kind
	}
	e.Code, e.Detail = strconv.Itoa(said.Error.Code), row.detail
	return e
}
