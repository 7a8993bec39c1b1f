package vonage

import (
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// errorTable has the errors of the Messages API (definitions/messages-olympus.yml 1.4.0, x-errors) and those that all
// interfaces share (developer.vonage.com/en/api-errors). An answer names them at the end of `type`, a receipt in
// `title`.
func errorTable() rest.Table {
	return rest.Table{
		"1000": rest.Means(channel.Throttled, "too many messages at once for the account"),
		"1010": rest.Means(channel.Refused, "the request lacks a parameter"),
		"1020": rest.Means(channel.Refused, "a parameter is not valid"),
		"1021": rest.Means(channel.Refused, "the tag is not valid"),
		"1022": rest.Means(channel.Refused, "the template is not valid"),
		"1030": rest.Means(channel.Unavailable, "Vonage's platform failed"),
		"1040": rest.Means(channel.Rejected, "no message can go to such a number"),
		"1050": rest.Means(channel.Rejected, "the number is barred"),
		"1060": rest.Means(channel.Refused, "the account is barred from sending"),
		"1070": rest.Means(channel.Refused, "the account's credit is used up"),
		"1080": rest.Means(channel.Refused, "the account may not send by HTTP"),
		"1090": rest.Means(channel.Refused, "the text is too long"),
		"1100": rest.Means(channel.Unavailable, "Vonage could not hand the message on"),
		"1120": rest.Means(channel.Refused, "the sender is not allowed in this country"),
		"1130": rest.Means(channel.Refused, "the ttl is not valid"),
		"1140": rest.Means(channel.Refused, "the account lacks a feature that the message needs"),
		"1150": rest.Means(channel.Refused, "a parameter of the message is not valid"),
		"1160": rest.Means(channel.Refused, "the account is in its trial: only numbers on its list can be reached"),
		"1170": rest.Means(channel.Rejected, "the number is not valid"),
		"1180": rest.Means(channel.Unavailable, "the handset is switched off or out of reach"),
		"1190": rest.Means(channel.Rejected, "the number is no longer in use"),
		"1200": rest.Means(channel.Unavailable, "the number was ported, and the carrier cannot find it"),
		"1210": rest.Means(channel.Refused, "the carrier filtered the message as spam"),
		"1220": rest.Means(channel.Unavailable, "the handset is busy"),
		"1230": rest.Means(channel.Unavailable, "the network failed"),
		"1240": rest.Means(channel.Rejected, "the person has opted out (STOP)"),
		"1241": rest.Means(channel.Throttled, "too many messages to this number"),
		"1250": rest.Means(channel.Unavailable, "no way to the number's network"),
		"1260": rest.Means(channel.Rejected, "the number cannot be reached"),
		"1270": rest.Means(channel.Rejected, "the carrier blocks the message because of the person's age"),
		"1280": rest.Means(channel.Rejected, "the carrier blocks the number"),
		"1290": rest.Means(channel.Rejected, "the person's prepaid account has no credit"),
		"1300": rest.Means(channel.Rejected, "the number is not part of the provider's network"),
		"1310": rest.Means(channel.Rejected, "the handset cannot receive the message"),
		"1320": rest.Means(channel.MaybeSent, "Vonage says that the message was already sent"),
		"1330": rest.Means(channel.Unavailable, "the carrier gave no known reason"),
		"1331": rest.Means(channel.Unavailable, "the carrier does not respond"),
		"1340": rest.Means(channel.Refused, "the message came outside of the allowed window"),
		"1350": rest.Means(channel.Refused, "the fee for matching numbers is not paid"),
		"1360": rest.Means(channel.Unavailable, "the time to live was over before it was sent"),
		"1370": rest.Means(channel.Refused, "an access token of the account has expired"),
		"1380": rest.Means(channel.Refused, "a resource of the message is not valid"),
		"1381": rest.Means(channel.Refused, "a resource of the message is too large"),
		"1382": rest.Means(channel.Refused, "a resource of the message has the wrong type"),
		"1400": rest.Means(channel.Refused, "the account cannot use this channel"),
		"1410": rest.Means(channel.Refused, "a parameter of the channel is not valid"),
		"1420": rest.Means(channel.Refused, "the sender is not valid"),
		"1430": rest.Means(channel.Rejected, "the number is not valid for SMS"),
		"1440": rest.Means(channel.Refused, "the type of message is not known"),
		"1450": rest.Means(channel.Refused, "the client reference is not valid"),

		"low-balance":  rest.Means(channel.Refused, "the account's balance is too low"),
		"unauthorized": rest.Means(channel.Refused, "Vonage does not accept our credentials"),
		// as the definition spells it
		"unathorized":       rest.Means(channel.Refused, "Vonage does not accept our credentials"),
		"forbidden":         rest.Means(channel.Refused, "the account may not do this"),
		"not-found":         rest.Means(channel.Refused, "the address is not known: see url"),
		"unprovisioned":     rest.Means(channel.Refused, "the account or application lacks this product"),
		"account-suspended": rest.Means(channel.Refused, "the account is suspended"),
		"jwt-expired":       rest.Means(channel.Refused, "the pass had expired: is this machine's clock right?"),
		"jwt-revoked":       rest.Means(channel.Refused, "the private key was revoked"),
		"invalid-api-key":   rest.Means(channel.Refused, "the account is not known"),
		"invalid-signature": rest.Means(channel.Refused, "the signature is wrong"),
		"invalid-params":    rest.Means(channel.Refused, "a parameter is not valid"),
		"invalid-json":      rest.Means(channel.Refused, "the request is not understood"),
	}
}

// refused judges an answer that is no yes. A status that says all by itself goes before Vonage's code: 1000 stands in
// the definition both for a throttled request and for an internal error.
func (s *sender) refused(a channel.Answer) *channel.Error {
	var problem struct {
		Type string `json:"type"`
	}
	if a.JSON(&problem) != nil {
		return s.api.Status(a)
	}
	_, code, _ := strings.Cut(problem.Type, "#")
	return s.api.Refusal(a, code, errorTable())
}
