package infobip

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// requestErrors has the errors of a request, by the errorCode of an ApiError and by the messageId of the older
// requestError.serviceException (SMS API 3.210.0).
func requestErrors() rest.Table {
	return rest.Table{
		"E400": rest.Means(channel.Refused,
			"the request breaks a rule of Infobip's: see the sender and the regulatory fields"),
		"E401": rest.Means(channel.Refused, "Infobip does not accept the API key"),
		"E403": rest.Means(channel.Refused, "the API key may not do this: give it the scope sms:manage"),
		"E404": rest.Means(channel.Refused, "the address is not known: see url"),
		"E429": rest.Means(channel.Throttled, "too many requests at once"),
		"E500": rest.Means(channel.Unavailable, "Infobip failed"),

		"BAD_REQUEST": rest.Means(channel.Refused,
			"the request breaks a rule of Infobip's: see the sender and the regulatory fields"),
		"UNAUTHORIZED":      rest.Means(channel.Refused, "Infobip does not accept the API key"),
		"FORBIDDEN":         rest.Means(channel.Refused, "the API key may not do this: give it the scope sms:manage"),
		"NOT_FOUND":         rest.Means(channel.Refused, "the address or the message is not known: see url"),
		"TOO_MANY_REQUESTS": rest.Means(channel.Throttled, "too many requests at once"),
		"GENERAL_ERROR":     rest.Means(channel.Unavailable, "Infobip failed"),
	}
}

// refused judges an answer that is no yes. A status that says all by itself goes before Infobip's code.
func (s *sender) refused(a channel.Answer) *channel.Error {
	var said struct {
		Code    string `json:"errorCode"`
		Request struct {
			Service struct {
				ID string `json:"messageId"`
			} `json:"serviceException"`
		} `json:"requestError"`
	}
	if a.JSON(&said) != nil {
		return s.api.Status(a)
	}
	code := cmp.Or(said.Code, said.Request.Service.ID)
	if requestErrors()[code].Kind == channel.Unavailable {
		return s.api.Status(a) // a general error that comes with 4xx is ours
	}
	return s.api.Refusal(a, code, requestErrors())
}

// status is Infobip's word for how far a message has come.
type status struct {
	GroupID   int    `json:"groupId"`
	GroupName string `json:"groupName"`
	ID        int    `json:"id"`
	Name      string `json:"name"`
}

// The groups of statuses, and the statuses that are not what their group says.
const (
	groupUndeliverable = 2
	groupDelivered     = 3
	groupExpired       = 4
	groupRejected      = 5

	deliveredToOperator = 2  // of group 3, and yet the handset does not have it
	duplicate           = 23 // of group 5: an earlier message of this id was taken
	expiredUnknown      = 29 // of group 4: the carrier has it and never said what became of it
)

// group returns the group by its number, or by its name where there is none.
func (s status) group() int {
	if s.GroupID != 0 {
		return s.GroupID
	}
	switch s.GroupName {
	case "UNDELIVERABLE":
		return groupUndeliverable
	case "DELIVERED":
		return groupDelivered
	case "EXPIRED":
		return groupExpired
	case "REJECTED":
		return groupRejected
	}
	return 0
}

// news returns our word; the unknown one says nothing new.
func (s status) news() channel.Status {
	switch s.group() {
	case groupDelivered:
		if s.ID == deliveredToOperator || s.Name == "DELIVERED_TO_OPERATOR" {
			return channel.Sent
		}
		return channel.Delivered
	case groupUndeliverable:
		return channel.Undelivered
	case groupExpired:
		if s.ID == expiredUnknown {
			return channel.Sent
		}
		return channel.Undelivered
	case groupRejected:
		if s.ID == duplicate {
			return channel.Taken // no news of the one that was taken
		}
		return channel.Failed
	}
	if s.ID == 3 { // PENDING_WAITING_DELIVERY
		return channel.Sent
	}
	return channel.Taken
}

// statusErrors has the statuses of messages that failed, by id ("Response status and error codes", general status
// codes).
func statusErrors() map[int]rest.Row {
	return map[int]rest.Row{
		4:   rest.Means(channel.Unavailable, "the carrier rejected the message"),
		6:   rest.Means(channel.Refused, "the network is not covered, or not set up for the account"),
		8:   rest.Means(channel.Rejected, "the number has no known prefix"),
		9:   rest.Means(channel.Unavailable, "the message was not delivered"),
		10:  rest.Means(channel.Rejected, "the person has barred such messages (DND)"),
		11:  rest.Means(channel.Refused, "the sender is not registered for the account"),
		12:  rest.Means(channel.Refused, "the account has no credit"),
		13:  rest.Means(channel.Refused, "the sender is on the account's block list"),
		14:  rest.Means(channel.Rejected, "the number is on a block list"),
		15:  rest.Means(channel.Unavailable, "the validity was over before it was delivered"),
		17:  rest.Means(channel.Refused, "the account's credit has expired"),
		18:  rest.Means(channel.Refused, "the account is on trial and may only write to its own number"),
		19:  rest.Means(channel.Refused, "the account has no route for this"),
		20:  rest.Means(channel.Throttled, "too many messages to this number"),
		21:  rest.Means(channel.Unavailable, "Infobip failed"),
		23:  rest.Means(channel.MaybeSent, "Infobip has a message of this id already"),
		24:  rest.Means(channel.Refused, "the message is malformed"),
		25:  rest.Means(channel.Refused, "the text is too long"),
		31:  rest.Means(channel.Unavailable, "the message was not sent"),
		51:  rest.Means(channel.Refused, "the request has no number"),
		52:  rest.Means(channel.Rejected, "the number is not valid"),
		87:  rest.Means(channel.Rejected, "the number is blocked for suspected fraud"),
		100: rest.Means(channel.Unavailable, "Infobip's platform rejected the message"),
	}
}

// row returns the meaning of a status that failed. One that is not in the table may go away on another route.
func (s status) row() rest.Row {
	if row, known := statusErrors()[s.ID]; known {
		return row
	}
	return rest.Means(channel.Unavailable, "the message failed for a reason that is not in the table")
}

var codeForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,63}$`)

// code returns Infobip's name of a status, if it is one.
func (s status) code() string {
	if codeForm.MatchString(s.Name) {
		return s.Name
	}
	return "unknown"
}

// fault is the network's reason why a message failed.
type fault struct {
	GroupID   int    `json:"groupId"`
	ID        int    `json:"id"`
	Name      string `json:"name"`
	Permanent bool   `json:"permanent"`
}

// The groups of the network's reasons, and the ids of India's DLT.
const (
	faultHandset = 1
	faultUser    = 2

	firstDLT = 4106
	lastDLT  = 4199
)

// faults are the network's reasons that their group does not tell rightly ("Response status and error codes", general
// and DLT error codes), without their EC_.
func faults() map[string]channel.ErrorKind {
	return map[string]channel.ErrorKind{
		"CALL_BARRED":                         channel.Rejected, // the subscription is suspended
		"BEARER_SERVICE_NOT_PROVISIONED":      channel.Rejected,
		"SC_BLOCKED_BY_END_USER":              channel.Rejected,
		"CANNOT_RECEIVE_SC":                   channel.Refused, // no short codes: another sender may reach it
		"TEMPORARY_HANDSET_FAILURE":           channel.Unavailable,
		"INVALID_DESTINATION_ADDRESS":         channel.Rejected,
		"INVALID_REQUEST_DESTINATION":         channel.Rejected,
		"CONTENT_BLOCKED":                     channel.Rejected, // the person has sent STOP
		"SIGNALS_BLOCKED":                     channel.Rejected, // suspected fraud
		"IMSI_BLACKLISTED":                    channel.Rejected,
		"BLACKLISTED_DESTINATIONADDRESS":      channel.Rejected,
		"DEACTIVATED_LIST":                    channel.Rejected,
		"LIMIT_REACHED":                       channel.Throttled,
		"QUOTA_REACHED":                       channel.Throttled,
		"10DLC_LIMIT_REACHED":                 channel.Throttled,
		"DESTINATION_FLOODING":                channel.Throttled,
		"DESTINATION_TXT_FLOODING":            channel.Throttled,
		"MESSAGE_CANCELED":                    channel.Unavailable,
		"VALIDITY_EXPIRED":                    channel.Unavailable,
		"DESTINATION_BLOCKED_BY_OPERATOR":     channel.Rejected,
		"DESTINATION_NOT_SMS_PROVISIONED":     channel.Rejected,
		"DEST_ADDRESS_SUSPENDED":              channel.Rejected,
		"DEST_ADDRESS_BLACKLISTED":            channel.Rejected, // the operator's DND list
		"PREFERENCE_NOT_MATCHED":              channel.Rejected, // India: the person takes no such messages
		"DLT_SCRUBBING_TIMEOUT":               channel.Unavailable,
		"SCRUBBING_FAILED":                    channel.Unavailable,
		"INVALIDMSCADDRESS":                   channel.Refused, // the text is on a block list
		"SOURCE_ADDRESS_IS_BLOCKED":           channel.Refused,
		"TF_NUMBER_NOT_VERIFIED":              channel.Refused,
		"SC_BLOCKED_FOR_END_USER":             channel.Refused,
		"CONTENT_BLOCKED_BY_OPERATOR":         channel.Refused,
		"SC_NOT_PROVISIONED":                  channel.Refused,
		"SC_EXPIRED":                          channel.Refused,
		"SC_BLOCKED":                          channel.Refused,
		"CAMPAIGN_ID_REJECTED":                channel.Refused,
		"ACCOUNT_NOT_PROVISIONED_FOR_CHANNEL": channel.Refused,
	}
}

// failure returns code and kind of a message that failed: the network's reason, and where it gives none, the status.
func (r report) failure() (code string, kind channel.ErrorKind) {
	if r.Error.ID == 0 || !codeForm.MatchString(r.Error.Name) {
		return r.Status.code(), r.Status.row().Kind
	}
	if kind, known := faults()[strings.TrimPrefix(r.Error.Name, "EC_")]; known {
		return r.Error.Name, kind
	}
	switch {
	case r.Error.ID >= firstDLT && r.Error.ID <= lastDLT:
		kind = channel.Refused // a header, template or entity that is not registered
	case r.Error.GroupID == faultHandset && r.Error.Permanent:
		kind = channel.Rejected
	case r.Error.GroupID == faultUser && r.Error.Permanent:
		kind = channel.Refused
	default:
		kind = channel.Unavailable
	}
	return r.Error.Name, kind
}
