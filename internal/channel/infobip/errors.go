package infobip

import (
	"regexp"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
)

// errorRow says what one of Infobip's errors means for the next step.
type errorRow struct {
	kind   channel.ErrorKind
	detail string
}

// requestErrors has the errors of a request, by the errorCode of an ApiError and by the messageId of the older
// requestError.serviceException (SMS API 3.210.0).
func requestErrors() map[string]errorRow {
	return map[string]errorRow{
		"E400": {channel.Refused, "the request breaks a rule of Infobip's: see the sender and the regulatory fields"},
		"E401": {channel.Refused, "Infobip does not accept the API key"},
		"E403": {channel.Refused, "the API key may not do this: give it the scope sms:manage"},
		"E404": {channel.Refused, "the address is not known: see url"},
		"E429": {channel.Throttled, "too many requests at once"},
		"E500": {channel.Unavailable, "Infobip failed"},

		"BAD_REQUEST":       {channel.Refused, "the request breaks a rule of Infobip's: see the sender and the regulatory fields"},
		"UNAUTHORIZED":      {channel.Refused, "Infobip does not accept the API key"},
		"FORBIDDEN":         {channel.Refused, "the API key may not do this: give it the scope sms:manage"},
		"NOT_FOUND":         {channel.Refused, "the address or the message is not known: see url"},
		"TOO_MANY_REQUESTS": {channel.Throttled, "too many requests at once"},
		"GENERAL_ERROR":     {channel.Unavailable, "Infobip failed"},
	}
}

// refused judges an answer that is no yes. A status that says all by itself goes before Infobip's code.
func (s *sender) refused(a channel.Answer) *channel.Error {
	e := channel.StatusError(name, a, s.now())
	var said struct {
		Code    string `json:"errorCode"`
		Request struct {
			Service struct {
				ID string `json:"messageId"`
			} `json:"serviceException"`
		} `json:"requestError"`
	}
	if a.JSON(&said) != nil || e.Kind == channel.Unavailable || e.Kind == channel.MaybeSent {
		return e
	}
	code := said.Code
	if code == "" {
		code = said.Request.Service.ID
	}
	row, known := requestErrors()[code]
	if !known || row.kind == channel.Unavailable {
		return e
	}
	if e.Kind != channel.Throttled {
		e.Kind = row.kind
	}
	e.Code, e.Detail = code, row.detail
	return e
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

// group answers the group by its number, or by its name where there is none.
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

// news answers our word; the unknown one says nothing new.
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

// statusErrors has the statuses of messages that failed, by id ("Response status and error codes", general status codes).
func statusErrors() map[int]errorRow {
	return map[int]errorRow{
		4:   {channel.Unavailable, "the carrier rejected the message"},
		6:   {channel.Refused, "the network is not covered, or not set up for the account"},
		8:   {channel.Rejected, "the number has no known prefix"},
		9:   {channel.Unavailable, "the message was not delivered"},
		10:  {channel.Rejected, "the person has barred such messages (DND)"},
		11:  {channel.Refused, "the sender is not registered for the account"},
		12:  {channel.Refused, "the account has no credit"},
		13:  {channel.Refused, "the sender is on the account's block list"},
		14:  {channel.Rejected, "the number is on a block list"},
		15:  {channel.Unavailable, "the validity was over before it was delivered"},
		17:  {channel.Refused, "the account's credit has expired"},
		18:  {channel.Refused, "the account is on trial and may only write to its own number"},
		19:  {channel.Refused, "the account has no route for this"},
		20:  {channel.Throttled, "too many messages to this number"},
		21:  {channel.Unavailable, "Infobip failed"},
		23:  {channel.MaybeSent, "Infobip has a message of this id already"},
		24:  {channel.Refused, "the message is malformed"},
		25:  {channel.Refused, "the text is too long"},
		31:  {channel.Unavailable, "the message was not sent"},
		51:  {channel.Refused, "the request has no number"},
		52:  {channel.Rejected, "the number is not valid"},
		87:  {channel.Rejected, "the number is blocked for suspected fraud"},
		100: {channel.Unavailable, "Infobip's platform rejected the message"},
	}
}

// row answers the meaning of a status that failed. One that is not in the table may go away on another route.
func (s status) row() errorRow {
	if row, known := statusErrors()[s.ID]; known {
		return row
	}
	return errorRow{channel.Unavailable, "the message failed for a reason that is not in the table"}
}

//nolint:gochecknoglobals // compiled once, never changed
var codeForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,63}$`)

// code answers Infobip's name of a status, if it is one.
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

// failure answers code and kind of a message that failed: the network's reason, and where it gives none, the status.
func (r report) failure() (code string, kind channel.ErrorKind) {
	if r.Error.ID == 0 || !codeForm.MatchString(r.Error.Name) {
		return r.Status.code(), r.Status.row().kind
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
