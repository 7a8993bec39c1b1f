package azure

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
)

// statusDetails say what an HTTP status of Azure's means ("Common error codes", SMS). Azure has no finer codes for
// requests.
func statusDetails() map[int]string {
	return map[int]string{
		http.StatusBadRequest: "Azure does not understand the request: see the sender",
		http.StatusUnauthorized: "Azure does not accept the signature: see access_key, and whether this machine's " +
			"clock is right",
		http.StatusForbidden:           "the resource may not do this: see the sender and the country",
		http.StatusNotFound:            "the resource is not known: see endpoint",
		http.StatusUnprocessableEntity: "Azure cannot use the request",
	}
}

// refused judges an answer that is no yes.
func (s *sender) refused(a channel.Answer) *channel.Error {
	e := s.api.Status(a)
	if detail, known := statusDetails()[a.Status]; known {
		e.Detail = detail
	}
	return e
}

// refusedItem judges the answer to one recipient. A repeat that Azure cannot place is not sent by this request, but it
// may have been by an earlier one.
func (s *sender) refusedItem(i item) *channel.Error {
	e := s.refused(channel.Answer{Status: i.Status})
	switch {
	case strings.EqualFold(i.Repeat, "rejected"):
		e.Kind, e.Code, e.Detail = channel.MaybeSent, "repeat", "Azure cannot tell whether it has sent this message before"
	case i.Status == http.StatusBadRequest && strings.Contains(strings.ToLower(i.Error), "to phone number"):
		e.Kind, e.Detail = channel.Rejected, "the number is not valid"
	}
	return e
}

// reportRow says what one of the codes of a receipt means. words stand in the text of the receipt where it has no code.
type reportRow struct {
	kind  channel.ErrorKind
	words string
}

// reportTable has the codes of a message that failed ("Troubleshooting response codes for SMS").
func reportTable() map[string]reportRow {
	return map[string]reportRow{
		"4000": {channel.Refused, "fraud detection"},
		"4001": {channel.Refused, "invalid source"},
		"4002": {channel.Rejected, "invalid destination"},
		"4003": {channel.Refused, "unsupported destination"},
		"4004": {channel.Rejected, "exist"},
		"4005": {channel.Refused, "blocked by destination carrier"},
		"4006": {channel.Unavailable, "reachable"},
		"4007": {channel.Rejected, "opted out"},
		"4008": {channel.Throttled, "maximum number of messages"},
		"4009": {channel.Refused, "entitlement"},
		"4010": {channel.Refused, "toll-free"},
		"5000": {channel.Unavailable, "support team"},
		"5001": {channel.Unavailable, "temporary unavailability"},
		"9999": {channel.Unavailable, "unknown error"},
	}
}

// noReports is the code of a message whose carrier never reports: it may well have arrived.
const noReports = "5002"

var reportCode = regexp.MustCompile(`\b(4[0-9]{3}|5[0-9]{3}|9999)\b`)

// failure returns code and kind of a message that failed, from the details of its receipt.
func failure(details string) (code string, kind channel.ErrorKind) {
	text := strings.ToLower(details)
	if code = reportCode.FindString(text); code != "" {
		if row, known := reportTable()[code]; known {
			return code, row.kind
		}
		return code, channel.Unavailable
	}
	if strings.Contains(text, "not support delivery report") {
		return noReports, channel.MaybeSent
	}
	table := reportTable()
	for _, code := range slices.Sorted(maps.Keys(table)) {
		if strings.Contains(text, table[code].words) {
			return code, table[code].kind
		}
	}
	return "unknown", channel.Unavailable
}
