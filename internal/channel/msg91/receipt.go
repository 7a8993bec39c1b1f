package msg91

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// maxReports bounds the reports of one request.
const maxReports = 1000

// ReceiptsByID implements channel.Correlator: a report names its message by MSG91's request id, of which each message
// has its own.
func (*sender) ReceiptsByID() bool { return true }

// report is what MSG91 says of one message, in its webhook's version 3 and in what the new webhook sends by default.
type report struct {
	RequestID     string `json:"requestId"`
	Status        label  `json:"status"`
	Desc          string `json:"desc"`
	FailedReason  string `json:"failedReason"`
	FailureReason string `json:"failureReason"`
	Amount        label  `json:"amount"`
}

// batch is what version 2 sends, as the field data of a form.
type batch []struct {
	RequestID string   `json:"requestId"`
	Report    []report `json:"report"`
}

// Receipts implements channel.Receiver. MSG91 does not sign: who knows the route's address is believed.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	reports, ok := read(r.Body)
	if !ok || r.Method != http.MethodPost || len(reports) > maxReports {
		return nil, rest.Refused(name, "body", "the report cannot be understood")
	}
	var out []channel.Receipt
	for _, p := range reports {
		if p.RequestID == "" || p.Status == "" {
			return nil, rest.Refused(name, "body", "the report names no message or no status")
		}
		got := channel.Receipt{ProviderID: p.RequestID, At: r.Now}
		got.Status, got.Code, got.Kind = judgeStatus(string(p.Status), p.FailedReason+" "+p.FailureReason)
		if f, err := strconv.ParseFloat(string(p.Amount), 64); err == nil && f > 0 && s.cfg.Currency != "" {
			got.Price, got.Currency = string(p.Amount), s.cfg.Currency
		}
		out = append(out, got)
	}
	return out, nil
}

// read returns the reports of a request, in any of the webhook's versions that name the message.
func read(body []byte) (reports []report, ok bool) {
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte("{")) {
		var one report
		if json.Unmarshal(body, &one) != nil {
			return nil, false
		}
		return []report{one}, true
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, false
	}
	var all batch
	if json.Unmarshal([]byte(form.Get("data")), &all) != nil {
		return nil, false
	}
	for _, b := range all {
		for _, p := range b.Report {
			p.RequestID = b.RequestID
			reports = append(reports, p)
		}
	}
	return reports, len(reports) > 0
}

// statusRow says what one of MSG91's statuses means.
type statusRow struct {
	status channel.Status
	code   string
	kind   channel.ErrorKind
}

// statusTable has the statuses of a report, by number ("How to use webhook") and by word (the new webhook).
func statusTable() map[string]statusRow {
	failed := statusRow{channel.Undelivered, "2", channel.Unavailable}
	rejected := statusRow{channel.Failed, "16", channel.Unavailable}
	return map[string]statusRow{
		"1":  {channel.Delivered, "", ""},
		"2":  failed,
		"9":  {channel.Failed, "9", channel.Refused}, // do not disturb; it stops promotional routes only
		"16": rejected,
		"17": {channel.Failed, "17", channel.Rejected}, // the account's own block list
		"25": {channel.Failed, "25", channel.Unavailable},

		"delivered": {channel.Delivered, "", ""},
		"sent":      {channel.Sent, "", ""},
		"submitted": {channel.Sent, "", ""},
		"failed":    failed,
		"rejected":  rejected,
		"ndnc":      {channel.Failed, "9", channel.Refused},
		"blocked":   {channel.Failed, "17", channel.Rejected},
	}
}

// judgeStatus returns what a status means; an unknown one says nothing new. A reason that names the registry (DLT) is
// ours to mend.
func judgeStatus(status, reason string) (channel.Status, string, channel.ErrorKind) {
	row, known := statusTable()[strings.ToLower(status)]
	if !known {
		return channel.Taken, "", ""
	}
	if row.kind == channel.Unavailable && strings.Contains(strings.ToLower(reason), "dlt") {
		return row.status, "dlt", channel.Refused
	}
	return row.status, row.code, row.kind
}
