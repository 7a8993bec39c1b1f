package vonage

import (
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
)

// errorRow says what one of Vonage's errors means for the next step.
type errorRow struct {
	kind   channel.ErrorKind
	detail string
}

// errorTable has the errors of the Messages API (definitions/messages-olympus.yml 1.4.0, x-errors) and those that all
// interfaces share (developer.vonage.com/en/api-errors). An answer names them at the end of `type`, a receipt in `title`.
func errorTable() map[string]errorRow {
	return map[string]errorRow{
		"1000": {channel.Throttled, "too many messages at once for the account"},
		"1010": {channel.Refused, "the request lacks a parameter"},
		"1020": {channel.Refused, "a parameter is not valid"},
		"1021": {channel.Refused, "the tag is not valid"},
		"1022": {channel.Refused, "the template is not valid"},
		"1030": {channel.Unavailable, "Vonage's platform failed"},
		"1040": {channel.Rejected, "no message can go to such a number"},
		"1050": {channel.Rejected, "the number is barred"},
		"1060": {channel.Refused, "the account is barred from sending"},
		"1070": {channel.Refused, "the account's credit is used up"},
		"1080": {channel.Refused, "the account may not send by HTTP"},
		"1090": {channel.Refused, "the text is too long"},
		"1100": {channel.Unavailable, "Vonage could not hand the message on"},
		"1120": {channel.Refused, "the sender is not allowed in this country"},
		"1130": {channel.Refused, "the ttl is not valid"},
		"1140": {channel.Refused, "the account lacks a feature that the message needs"},
		"1150": {channel.Refused, "a parameter of the message is not valid"},
		"1160": {channel.Refused, "the account is in its trial: only numbers on its list can be reached"},
		"1170": {channel.Rejected, "the number is not valid"},
		"1180": {channel.Unavailable, "the handset is switched off or out of reach"},
		"1190": {channel.Rejected, "the number is no longer in use"},
		"1200": {channel.Unavailable, "the number was ported, and the carrier cannot find it"},
		"1210": {channel.Refused, "the carrier filtered the message as spam"},
		"1220": {channel.Unavailable, "the handset is busy"},
		"1230": {channel.Unavailable, "the network failed"},
		"1240": {channel.Rejected, "the person has opted out (STOP)"},
		"1241": {channel.Throttled, "too many messages to this number"},
		"1250": {channel.Unavailable, "no way to the number's network"},
		"1260": {channel.Rejected, "the number cannot be reached"},
		"1270": {channel.Rejected, "the carrier blocks the message because of the person's age"},
		"1280": {channel.Rejected, "the carrier blocks the number"},
		"1290": {channel.Rejected, "the person's prepaid account has no credit"},
		"1300": {channel.Rejected, "the number is not part of the provider's network"},
		"1310": {channel.Rejected, "the handset cannot receive the message"},
		"1320": {channel.MaybeSent, "Vonage says that the message was already sent"},
		"1330": {channel.Unavailable, "the carrier gave no known reason"},
		"1331": {channel.Unavailable, "the carrier does not respond"},
		"1340": {channel.Refused, "the message came outside of the allowed window"},
		"1350": {channel.Refused, "the fee for matching numbers is not paid"},
		"1360": {channel.Unavailable, "the time to live was over before it was sent"},
		"1370": {channel.Refused, "an access token of the account has expired"},
		"1380": {channel.Refused, "a resource of the message is not valid"},
		"1381": {channel.Refused, "a resource of the message is too large"},
		"1382": {channel.Refused, "a resource of the message has the wrong type"},
		"1400": {channel.Refused, "the account cannot use this channel"},
		"1410": {channel.Refused, "a parameter of the channel is not valid"},
		"1420": {channel.Refused, "the sender is not valid"},
		"1430": {channel.Rejected, "the number is not valid for SMS"},
		"1440": {channel.Refused, "the type of message is not known"},
		"1450": {channel.Refused, "the client reference is not valid"},

		"low-balance":       {channel.Refused, "the account's balance is too low"},
		"unauthorized":      {channel.Refused, "Vonage does not accept our credentials"},
		"unathorized":       {channel.Refused, "Vonage does not accept our credentials"}, // as the definition spells it
		"forbidden":         {channel.Refused, "the account may not do this"},
		"not-found":         {channel.Refused, "the address is not known: see url"},
		"unprovisioned":     {channel.Refused, "the account or application lacks this product"},
		"account-suspended": {channel.Refused, "the account is suspended"},
		"jwt-expired":       {channel.Refused, "the pass had expired: is this machine's clock right?"},
		"jwt-revoked":       {channel.Refused, "the private key was revoked"},
		"invalid-api-key":   {channel.Refused, "the account is not known"},
		"invalid-signature": {channel.Refused, "the signature is wrong"},
		"invalid-params":    {channel.Refused, "a parameter is not valid"},
		"invalid-json":      {channel.Refused, "the request is not understood"},
	}
}

// refused judges an answer that is no yes. A status that says all by itself goes before Vonage's code: 1000 stands in
// the definition both for a throttled request and for an internal error.
func (s *sender) refused(a channel.Answer) *channel.Error {
	e := channel.StatusError(name, a, s.now())
	var problem struct {
		Type string `json:"type"`
	}
	if a.JSON(&problem) != nil || e.Kind == channel.Unavailable || e.Kind == channel.MaybeSent {
		return e
	}
	_, code, _ := strings.Cut(problem.Type, "#")
	row, known := errorTable()[code]
	if !known {
		return e
	}
	if e.Kind != channel.Throttled {
		e.Kind = row.kind
	}
	e.Code, e.Detail = code, row.detail
	return e
}
