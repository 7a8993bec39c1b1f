package aws

import (
	"cmp"
	"maps"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// errorTable has the exceptions that sending meets, alone and with their reason (the service's model, and "Common
// errors"). A reason that is not here is judged by its exception.
func errorTable() rest.Table {
	t := exceptions()
	maps.Copy(t, reasons())
	return t
}

// exceptions are the exceptions alone.
func exceptions() rest.Table {
	const refused, throttled, unavailable = channel.Refused, channel.Throttled, channel.Unavailable
	return rest.Table{
		"ThrottlingException":           rest.Means(throttled, "too many requests at once"),
		"TooManyRequestsException":      rest.Means(throttled, "too many requests at once"),
		"InternalServerException":       rest.Means(unavailable, "AWS failed"),
		"InternalFailure":               rest.Means(unavailable, "AWS failed"),
		"ServiceUnavailableException":   rest.Means(unavailable, "AWS is out of order"),
		"AccessDeniedException":         rest.Means(refused, "the access key may not do this: see the policy on this page"),
		"ResourceNotFoundException":     rest.Means(refused, "the sender or a set does not exist in this region"),
		"ValidationException":           rest.Means(refused, "AWS does not accept the request"),
		"ConflictException":             rest.Means(refused, "the account's settings do not allow this message"),
		"ServiceQuotaExceededException": rest.Means(refused, "a quota of the account is used up"),

		"UnrecognizedClientException": rest.Means(refused, "AWS does not know the access key"),
		"InvalidClientTokenId":        rest.Means(refused, "AWS does not know the access key"),
		"InvalidSignatureException": rest.Means(refused,
			"the signature is wrong: see secret_access_key, and this machine's clock"),
		"SignatureDoesNotMatch": rest.Means(refused,
			"the signature is wrong: see secret_access_key, and this machine's clock"),
		"RequestExpired": rest.Means(refused,
			"the request came too late: is this machine's clock right?"),
		"ExpiredTokenException":               rest.Means(refused, "the session_token has expired"),
		"IncompleteSignatureException":        rest.Means(refused, "the signature is not whole"),
		"MissingAuthenticationTokenException": rest.Means(refused, "the request came without a signature"),
		"MissingAuthenticationToken":          rest.Means(refused, "the request came without a signature"),
		"OptInRequired":                       rest.Means(refused, "the account has not signed up for the service"),
		"NotAuthorized": rest.Means(refused,
			"the access key may not do this: see the policy on this page"),
		"UnknownOperationException": rest.Means(refused, "the interface does not know the call: see url"),
		"SerializationException":    rest.Means(refused, "the request is not understood"),
	}
}

// reasons are the exceptions with their reason behind a slash.
func reasons() rest.Table {
	const refused, rejected = channel.Refused, channel.Rejected
	return rest.Table{
		"AccessDeniedException/INSUFFICIENT_ACCOUNT_REPUTATION": rest.Means(refused,
			"AWS has taken the account's right to send: its reputation is too low"),
		"AccessDeniedException/ACCOUNT_DISABLED":               rest.Means(refused, "the account is disabled"),
		"ConflictException/DESTINATION_PHONE_NUMBER_OPTED_OUT": rest.Means(rejected, "the person has opted out (STOP)"),
		"ConflictException/DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION": rest.Means(rejected,
			"the protect configuration blocks the country"),
		"ConflictException/DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE": rest.Means(rejected,
			"the protect configuration blocks the number"),
		"ConflictException/DESTINATION_PHONE_NUMBER_NOT_VERIFIED": rest.Means(refused,
			"the account is in the sandbox and reaches only verified numbers"),
		"ConflictException/NO_ORIGINATION_IDENTITIES_FOUND": rest.Means(refused,
			"the account has no sender for this country"),
		"ConflictException/MESSAGE_TYPE_MISMATCH":        rest.Means(refused, "the sender is not for transactional messages"),
		"ConflictException/NUMBER_CAPABILITIES_MISMATCH": rest.Means(refused, "the sender cannot send SMS"),
		"ConflictException/REGISTRATION_NOT_COMPLETE":    rest.Means(refused, "the sender's registration is not complete"),
		"ConflictException/RESOURCE_NOT_ACTIVE":          rest.Means(refused, "the sender is not active"),
		"ConflictException/PROTECT_CONFIGURATION_NOT_ASSOCIATED_WITH_CONFIGURATION_SET": rest.Means(refused,
			"the protect configuration does not belong to the configuration set"),
		"ServiceQuotaExceededException/MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT": rest.Means(refused,
			"the account's monthly spend limit for SMS is reached"),
		"ValidationException/PRICE_OVER_THRESHOLD": rest.Means(refused, "the message costs more than max_price"),
		"ValidationException/SENDER_ID_REQUIRES_REGISTRATION": rest.Means(refused,
			"the sender ID must be registered for this country"),
		"ValidationException/SENDER_ID_NOT_REGISTERED": rest.Means(refused,
			"the sender ID is not registered for this country"),
		"ValidationException/SENDER_ID_NOT_SUPPORTED":     rest.Means(refused, "this country knows no sender IDs"),
		"ValidationException/COUNTRY_NOT_ENABLED":         rest.Means(refused, "the country is not enabled for the account"),
		"ValidationException/DESTINATION_COUNTRY_BLOCKED": rest.Means(refused, "the country is blocked for the account"),
		"ValidationException/INTERNATIONAL_SENDING_NOT_SUPPORTED": rest.Means(refused,
			"the sender cannot write to other countries"),
		"ValidationException/INVALID_IDENTITY_FOR_DESTINATION_COUNTRY": rest.Means(refused,
			"the sender is not for this country"),
		"ValidationException/COUNTRY_CODE_MISMATCH": rest.Means(refused, "the sender is not for this country"),
		"ValidationException/CHANNEL_NOT_ENABLED":   rest.Means(refused, "SMS is not enabled for the account"),
		"ValidationException/INVALID_ARN": rest.Means(refused,
			"an ARN is not valid: see the sender and the sets"),
		"ValidationException/RESOURCE_NOT_ACCESSIBLE": rest.Means(refused, "the sender or a set belongs to another account"),
		"ValidationException/PARAMETERS_CANNOT_BE_USED_TOGETHER": rest.Means(refused,
			"two settings cannot be used together: see the sets"),
		"ValidationException/UNSPECIFIED_PARAMETER_NOT_SUPPORTED": rest.Means(refused,
			"a setting is not supported for this sender"),
	}
}

// fault is AWS's error, as far as it is read.
type fault struct {
	Type   string `json:"__type"`
	Reason string `json:"Reason"`
	Fields []struct {
		Name string `json:"Name"`
	} `json:"Fields"`
}

// refused judges an answer that is no yes.
func (s *sender) refused(a channel.Answer) *channel.Error {
	var f fault
	_ = a.JSON(&f) // without a body the header may still name the exception
	kind := cmp.Or(exception(f.Type), exception(a.Header.Get("X-Amzn-Errortype")))
	row, code := f.row(kind)
	if code == "" {
		return s.api.Status(a)
	}
	return s.api.Refusal(a, code, rest.Table{code: row})
}

// row returns the row and the code of an exception; no code when it is not known.
func (f fault) row(kind string) (row rest.Row, code string) {
	if row, known := errorTable()[kind+"/"+f.Reason]; known {
		return row, f.Reason
	}
	row, known := errorTable()[kind]
	if !known {
		return row, ""
	}
	if kind == "ValidationException" && len(f.Fields) == 1 && f.Fields[0].Name == "DestinationPhoneNumber" {
		row = rest.Means(channel.Rejected, "AWS does not take the number for a valid one")
	}
	return row, kind
}

// exception returns the bare name of an exception: "com.amazonaws.pinpoint#ConflictException:http://…" is a
// ConflictException.
func exception(s string) string {
	s = s[strings.LastIndexByte(s, '#')+1:]
	s, _, _ = strings.Cut(s, ":")
	return s
}
