package aws

import (
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
)

// errorRow says what one of AWS's errors means for the next step.
type errorRow struct {
	kind   channel.ErrorKind
	detail string
}

// errorTable has the exceptions that sending meets, alone and with their reason (the service's model, and "Common errors").
// A reason that is not here is judged by its exception.
func errorTable() map[string]errorRow {
	return map[string]errorRow{
		"ThrottlingException":           {channel.Throttled, "too many requests at once"},
		"TooManyRequestsException":      {channel.Throttled, "too many requests at once"},
		"InternalServerException":       {channel.Unavailable, "AWS failed"},
		"InternalFailure":               {channel.Unavailable, "AWS failed"},
		"ServiceUnavailableException":   {channel.Unavailable, "AWS is out of order"},
		"AccessDeniedException":         {channel.Refused, "the access key may not do this: see the policy on this page"},
		"ResourceNotFoundException":     {channel.Refused, "the sender or a set does not exist in this region"},
		"ValidationException":           {channel.Refused, "AWS does not accept the request"},
		"ConflictException":             {channel.Refused, "the account's settings do not allow this message"},
		"ServiceQuotaExceededException": {channel.Refused, "a quota of the account is used up"},

		"UnrecognizedClientException":         {channel.Refused, "AWS does not know the access key"},
		"InvalidClientTokenId":                {channel.Refused, "AWS does not know the access key"},
		"InvalidSignatureException":           {channel.Refused, "the signature is wrong: see secret_access_key, and this machine's clock"},
		"SignatureDoesNotMatch":               {channel.Refused, "the signature is wrong: see secret_access_key, and this machine's clock"},
		"RequestExpired":                      {channel.Refused, "the request came too late: is this machine's clock right?"},
		"ExpiredTokenException":               {channel.Refused, "the session_token has expired"},
		"IncompleteSignatureException":        {channel.Refused, "the signature is not whole"},
		"MissingAuthenticationTokenException": {channel.Refused, "the request came without a signature"},
		"MissingAuthenticationToken":          {channel.Refused, "the request came without a signature"},
		"OptInRequired":                       {channel.Refused, "the account has not signed up for the service"},
		"NotAuthorized":                       {channel.Refused, "the access key may not do this: see the policy on this page"},
		"UnknownOperationException":           {channel.Refused, "the interface does not know the call: see url"},
		"SerializationException":              {channel.Refused, "the request is not understood"},

		"AccessDeniedException/INSUFFICIENT_ACCOUNT_REPUTATION": {channel.Refused, "AWS has taken the account's right to send: its reputation is too low"},
		"AccessDeniedException/ACCOUNT_DISABLED":                {channel.Refused, "the account is disabled"},

		"ConflictException/DESTINATION_PHONE_NUMBER_OPTED_OUT":                          {channel.Rejected, "the person has opted out (STOP)"},
		"ConflictException/DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION":        {channel.Rejected, "the protect configuration blocks the country"},
		"ConflictException/DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE": {channel.Rejected, "the protect configuration blocks the number"},
		"ConflictException/DESTINATION_PHONE_NUMBER_NOT_VERIFIED":                       {channel.Refused, "the account is in the sandbox and reaches only verified numbers"},
		"ConflictException/NO_ORIGINATION_IDENTITIES_FOUND":                             {channel.Refused, "the account has no sender for this country"},
		"ConflictException/MESSAGE_TYPE_MISMATCH":                                       {channel.Refused, "the sender is not for transactional messages"},
		"ConflictException/NUMBER_CAPABILITIES_MISMATCH":                                {channel.Refused, "the sender cannot send SMS"},
		"ConflictException/REGISTRATION_NOT_COMPLETE":                                   {channel.Refused, "the sender's registration is not complete"},
		"ConflictException/RESOURCE_NOT_ACTIVE":                                         {channel.Refused, "the sender is not active"},
		"ConflictException/PROTECT_CONFIGURATION_NOT_ASSOCIATED_WITH_CONFIGURATION_SET": {channel.Refused, "the protect configuration does not belong to the configuration set"},
		"ServiceQuotaExceededException/MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT":            {channel.Refused, "the account's monthly spend limit for SMS is reached"},
		"ValidationException/PRICE_OVER_THRESHOLD":                                      {channel.Refused, "the message costs more than max_price"},
		"ValidationException/SENDER_ID_REQUIRES_REGISTRATION":                           {channel.Refused, "the sender ID must be registered for this country"},
		"ValidationException/SENDER_ID_NOT_REGISTERED":                                  {channel.Refused, "the sender ID is not registered for this country"},
		"ValidationException/SENDER_ID_NOT_SUPPORTED":                                   {channel.Refused, "this country knows no sender IDs"},
		"ValidationException/COUNTRY_NOT_ENABLED":                                       {channel.Refused, "the country is not enabled for the account"},
		"ValidationException/DESTINATION_COUNTRY_BLOCKED":                               {channel.Refused, "the country is blocked for the account"},
		"ValidationException/INTERNATIONAL_SENDING_NOT_SUPPORTED":                       {channel.Refused, "the sender cannot write to other countries"},
		"ValidationException/INVALID_IDENTITY_FOR_DESTINATION_COUNTRY":                  {channel.Refused, "the sender is not for this country"},
		"ValidationException/COUNTRY_CODE_MISMATCH":                                     {channel.Refused, "the sender is not for this country"},
		"ValidationException/CHANNEL_NOT_ENABLED":                                       {channel.Refused, "SMS is not enabled for the account"},
		"ValidationException/INVALID_ARN":                                               {channel.Refused, "an ARN is not valid: see the sender and the sets"},
		"ValidationException/RESOURCE_NOT_ACCESSIBLE":                                   {channel.Refused, "the sender or a set belongs to another account"},
		"ValidationException/PARAMETERS_CANNOT_BE_USED_TOGETHER":                        {channel.Refused, "two settings cannot be used together: see the sets"},
		"ValidationException/UNSPECIFIED_PARAMETER_NOT_SUPPORTED":                       {channel.Refused, "a setting is not supported for this sender"},
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
	e := channel.StatusError(name, a, s.now())
	var f fault
	if e.Kind == channel.MaybeSent || e.Kind == channel.Unavailable {
		return e
	}
	_ = a.JSON(&f) // without a body the header may still name the exception
	kind := exception(f.Type)
	if kind == "" {
		kind = exception(a.Header.Get("X-Amzn-Errortype"))
	}
	row, code := f.row(kind)
	if code == "" {
		return e
	}
	if e.Kind != channel.Throttled {
		e.Kind = row.kind
	}
	if e.Kind == channel.Throttled {
		e.RetryAfter = a.RetryAfter(s.now())
	}
	e.Code, e.Detail = code, row.detail
	return e
}

// row answers the row and the code of an exception; no code when it is not known.
func (f fault) row(kind string) (row errorRow, code string) {
	if row, known := errorTable()[kind+"/"+f.Reason]; known {
		return row, f.Reason
	}
	row, known := errorTable()[kind]
	if !known {
		return row, ""
	}
	if kind == "ValidationException" && len(f.Fields) == 1 && f.Fields[0].Name == "DestinationPhoneNumber" {
		row = errorRow{channel.Rejected, "AWS does not take the number for a valid one"}
	}
	return row, kind
}

// exception answers the bare name of an exception: "com.amazonaws.pinpoint#ConflictException:http://…" is a ConflictException.
func exception(s string) string {
	s = s[strings.LastIndexByte(s, '#')+1:]
	s, _, _ = strings.Cut(s, ":")
	return s
}
