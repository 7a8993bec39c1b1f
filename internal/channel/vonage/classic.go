package vonage

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
)

// The SMS API is Vonage's older interface. It is of use because its Conversion API knows the messages of this one only.

// Which interface carries SMS.
const (
	byMessages = "messages"
	bySMS      = "sms"
)

// maxCallback is the longest address for receipts that the SMS API takes, in characters.
const maxCallback = 100

// submissions are the statuses of the SMS API's answers (definitions/sms.yml, x-errors), which come with HTTP 200.
func submissions() rest.Table {
	return rest.Table{
		"1":  rest.Means(channel.Throttled, "too many messages at once for the account"),
		"2":  rest.Means(channel.Refused, "the request lacks a parameter"),
		"3":  rest.Means(channel.Refused, "a parameter is not valid"),
		"4":  rest.Means(channel.Refused, "Vonage does not accept our credentials"),
		"5":  rest.Means(channel.Unavailable, "Vonage's platform failed"),
		"6":  rest.Means(channel.Rejected, "no message can go to such a number"),
		"7":  rest.Means(channel.Rejected, "the number is barred"),
		"8":  rest.Means(channel.Refused, "the account is suspended"),
		"9":  rest.Means(channel.Refused, "the account's credit is used up"),
		"10": rest.Means(channel.Throttled, "too many connections at once for the account"),
		"11": rest.Means(channel.Refused, "the account may not send by HTTP"),
		"12": rest.Means(channel.Refused, "the text is too long"),
		"14": rest.Means(channel.Refused, "the signature is wrong"),
		"15": rest.Means(channel.Refused, "the sender is not allowed in this country"),
		"22": rest.Means(channel.Refused, "the network is not known"),
		"23": rest.Means(channel.Refused, "the address for receipts is not valid: see public_url"),
		"29": rest.Means(channel.Refused, "the account is in its trial: only numbers on its list can be reached"),
		"32": rest.Means(channel.Refused, "the request has a signature and a secret"),
		"33": rest.Means(channel.Rejected, "the number is no longer in use"),
	}
}

// submitted is the SMS API's answer: one entry for each part.
type submitted struct {
	Messages []struct {
		ID     string `json:"message-id"`
		Status label  `json:"status"`
		Price  string `json:"message-price"`
	} `json:"messages"`
}

// classic sends an SMS by the SMS API.
func (s *sender) classic(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	from := s.from(m)
	if from == "" {
		return channel.Accepted{}, rest.NoSender(name, "a from")
	}
	form := url.Values{
		"api_key":           {s.cfg.APIKey},
		"api_secret":        {s.cfg.APISecret.Reveal()},
		"from":              {rest.Digits(from)},
		"to":                {rest.Digits(m.To.E164())},
		"text":              {m.Text.Body},
		"type":              {"text"},
		"status-report-req": {"true"},
		"client-ref":        {m.Token},
	}
	if m.Text.Encoding == message.UCS2 {
		form.Set("type", "unicode")
	}
	if m.Callback != "" && len(m.Callback) <= maxCallback {
		form.Set("callback", m.Callback)
	}
	if !m.ExpiresAt.IsZero() {
		form.Set("ttl", strconv.Itoa(1000*rest.Life(m.ExpiresAt, s.api.Now(), minLife, maxLife)))
	}
	for key, field := range map[string]string{"entity-id": "dlt_entity_id", "content-id": "dlt_template_id"} {
		if v := m.Regulatory[field]; v != "" {
			form.Set(key, v)
		}
	}
	a, err := s.old.Form(ctx, http.MethodPost, "/sms/json", form)
	if err != nil {
		return channel.Accepted{}, err
	}
	if !rest.Good(a) {
		return channel.Accepted{}, s.api.Status(a)
	}
	return parts(a)
}

// parts judges an answer with 200, which may say no. When some parts left and others did not, the person may hold half
// a text.
func parts(a channel.Answer) (channel.Accepted, error) {
	var said submitted
	if a.JSON(&said) != nil || len(said.Messages) == 0 {
		return channel.Accepted{}, rest.NoID(name)
	}
	var out channel.Accepted
	var failed *channel.Error
	price, priced := 0.0, true
	for _, p := range said.Messages {
		if p.Status != "0" {
			if failed == nil {
				failed = submission(string(p.Status))
			}
			continue
		}
		if out.ID == "" {
			out.ID = p.ID
		}
		out.Parts++
		f, err := strconv.ParseFloat(p.Price, 64)
		price, priced = price+f, priced && err == nil && f >= 0
	}
	switch {
	case failed != nil && out.Parts == 0:
		return channel.Accepted{}, failed
	case failed != nil:
		failed.Kind, failed.Detail = channel.MaybeSent, "a part of the text was not taken: "+failed.Detail
		return channel.Accepted{}, failed
	} // an id that is missing is not missed: receipts name the message by its address and its token
	if out.Status = channel.Taken; priced {
		out.Price, out.Currency = strconv.FormatFloat(price, 'f', -1, 64), "EUR"
	}
	return out, nil
}

// submission returns the error of one of the SMS API's statuses.
func submission(status string) *channel.Error {
	row, known := submissions()[status]
	if !known {
		if _, ok := rest.Short(status, 3); !ok {
			status = "unreadable"
		}
		row = rest.Means(channel.Refused, "Vonage does not take the message")
	}
	return row.Error(name, status)
}

// byKey adds the account's key and secret where there is no form that has them.
func (c *Config) byKey(r *http.Request, body []byte) *channel.Error {
	if len(body) == 0 {
		r.SetBasicAuth(c.APIKey, c.APISecret.Reveal())
	}
	return nil
}

// Converted implements channel.Feedback (Conversion API), for the messages of the SMS API, when the account has it.
func (s *sender) Converted(ctx context.Context, providerID string, _ phone.Number, ok bool) error {
	if !s.cfg.Conversions || providerID == "" || strings.Contains(providerID, "-") { // Messages and Voice have UUIDs
		return nil
	}
	q := url.Values{
		"message-id": {providerID},
		"delivered":  {strconv.FormatBool(ok)},
		"timestamp":  {s.api.Now().UTC().Format(time.DateTime)},
	}
	conversions := s.old
	conversions.Base = s.cfg.URL
	a, err := conversions.JSON(ctx, http.MethodPost, "/conversions/sms?"+q.Encode(), nil)
	if err == nil && !rest.Good(a) {
		return s.api.Status(a)
	}
	return err
}

// balance asks for the account's balance, which proves its key and secret.
func (s *sender) balance(ctx context.Context) error {
	return s.old.Check(ctx, "/account/get-balance", s.old.Status)
}
