package aws

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	keyID     = "AKIAIOSFODNN7EXAMPLE"
	secretKey = "s3cr3t/access+key"
	session   = "s3cr3t-session-token"
	topic     = "arn:aws:sns:eu-west-1:123456789012:sms-events"
	id        = "862a8790-60c0-4430-9b2b-658bdexample"
	callback  = "https://verify.example.com/callbacks/main/Zml4ZWQ"
)

func settings(base string) *Config {
	return &Config{
		Region:                 "eu-west-1",
		AccessKeyID:            keyID,
		SecretAccessKey:        secret.New(secretKey),
		SessionToken:           secret.New(session),
		OriginationIdentity:    "+447700900001",
		ConfigurationSet:       "codes",
		TopicARN:               topic,
		ProtectConfigurationID: "protect-abc",
		MaxPrice:               "0.10",
		MessageFeedback:        true,
		URL:                    base,
	}
}

// connected are settings whose sender reaches SNS as well, which stands beside the carrier.
type connected struct {
	*Config
	sns http.RoundTripper
}

// Open implements channel.Opener.
func (c connected) Open(env channel.Env) (channel.Sender, error) {
	if env.HTTP != nil {
		client := *env.HTTP
		client.Transport = split{c.sns, env.HTTP.Transport}
		env.HTTP = &client
	}
	return c.Config.Open(env)
}

// split sends what is for SNS to SNS.
type split struct{ sns, rest http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s split) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Host, "sns.") {
		return s.sns.RoundTrip(r)
	}
	return s.rest.RoundTrip(r)
}

func config(base string) channel.Opener { return connected{settings(base), &fakeSNS{}} }

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

// open opens the provider before a carrier, with an SNS beside.
func open(t testing.TB, c *Config, client *http.Client, sns http.RoundTripper) channel.Sender {
	t.Helper()
	if client == nil {
		client = &http.Client{}
	}
	s, err := connected{c,
		sns}.Open(channel.Env{Route: "main", HTTP: client, Now: channeltest.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signedByUs judges a request's signature, with the vectors' signer.
func signedByUs(r *http.Request, body []byte) error {
	again := r.Clone(r.Context())
	again.URL = &url.URL{Scheme: "http", Host: r.Host, Path: "/"}
	sign(again, body, credentials{keyID, secret.New(secretKey), secret.New(session)}, "eu-west-1", "sms-voice",
		channeltest.Now())
	if got, want := r.Header.Get("Authorization"), again.Header.Get("Authorization"); got != want ||
		!strings.Contains(got, "x-amz-security-token;x-amz-target") {
		return fmt.Errorf("the signature is %s, want %s", got, want)
	}
	return nil
}

func TestAWS(t *testing.T) {
	t.Parallel()
	m := loadModel(t)
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{secretKey, session},
		Accept: reply(200, `{"MessageId":"`+id+`"}`), WantID: id,
		Request: func(r *http.Request, body []byte) error {
			if r.URL.Path != "/" || r.Header.Get("X-Amz-Target") != "PinpointSMSVoiceV2.SendTextMessage" ||
				r.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
				return errors.New("the call is not the one of the model")
			}
			if err := signedByUs(r, body); err != nil {
				return err
			}
			var f map[string]any
			if err := json.Unmarshal(body, &f); err != nil {
				return err
			}
			for key, want := range map[string]string{
				"DestinationPhoneNumber": "+447700900123", "OriginationIdentity": "+447700900001", "MessageType": "TRANSACTIONAL",
				"ConfigurationSetName": "codes", "MaxPrice": "0.10", "TimeToLive": "300", "Context": "map[dialproof:dG9rZW4]",
				"DestinationCountryParameters": "<nil>", "ProtectConfigurationId": "protect-abc", "MessageFeedbackEnabled": "true",
			} {
				if got := fmt.Sprint(f[key]); got != want {
					return fmt.Errorf("%s is %s, want %s", key, got, want)
				}
			}
			if text, _ := f["MessageBody"].(string); !strings.Contains(text, "90817263") {
				return errors.New("the text has no code")
			}
			return m.judge("SendTextMessage", body)
		},
		Tables: map[string][]string{"answer": channeltest.Keys(errorTable())},
		Answer: func(e channeltest.Expected) string {
			kind, reason, _ := strings.Cut(e.Error, "/")
			return `{"__type":"com.amazonaws.pinpointsmsvoicev2#` + kind + `","Reason":"` + reason + `","Message":"for ` +
				`+447700900123"}`
		},
		Report:   func(e channeltest.Expected) channel.Callback { return notified(e.Error) },
		News:     func(n channeltest.News) channel.Callback { return notified(n.Word) },
		Receipts: receiptRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// notified returns a receipt with an event.
func notified(event string) channel.Callback {
	return request(snsMessage("Notification", eventOf(event, ""), nil, nil))
}

func TestRequest(t *testing.T) {
	t.Parallel()
	m := loadModel(t)
	c := channeltest.NewCarrier(channeltest.Says(reply(200, `{"MessageId":"x"}`)))
	defer c.Close()
	bare := &Config{Region: "ap-south-1", AccessKeyID: keyID, SecretAccessKey: secret.New(secretKey), URL: c.URL}
	s := open(t, bare, c.Client(), nil)
	msg := channeltest.Message(channel.SMS)
	msg.From, msg.Token, msg.Callback, msg.ExpiresAt = "ACMEIN", "", "", channeltest.Now()
	msg.Regulatory = map[string]string{
		"dlt_entity_id":   "1101456324675322134",
		"dlt_template_id": "1107457532145798767",
		"campaign_id":     "C1",
	}
	if _, err := s.Send(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	r := c.Requests()[0]
	if err := m.judge("SendTextMessage", r.Body); err != nil {
		t.Error(err)
	}
	var o map[string]any
	if err := json.Unmarshal(r.Body, &o); err != nil {
		t.Fatal(err)
	}
	want := "map[DestinationCountryParameters:map[IN_ENTITY_ID:1101456324675322134 " +
		"IN_TEMPLATE_ID:1107457532145798767] DestinationPhoneNumber:+447700900123 MessageBody:"
	if got := fmt.Sprint(o); !strings.HasPrefix(got, want) || o["OriginationIdentity"] != "ACMEIN" ||
		o["TimeToLive"] != 5.0 || len(o) != 6 {
		t.Errorf("%v", got)
	}
	if h := r.Header; h.Get("X-Amz-Security-Token") != "" || h.Get("X-Amz-Date") != "20261123T080000Z" ||
		!strings.Contains(h.Get("Authorization"), "/20261123/ap-south-1/sms-voice/") {
		t.Errorf("%v", h)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"eu-west-1":     "https://sms-voice.eu-west-1.amazonaws.com",
		"us-gov-west-1": "https://sms-voice.us-gov-west-1.amazonaws.com",
		"cn-north-1":    "https://sms-voice.cn-north-1.amazonaws.com.cn",
	} {
		c := settings("")
		c.Region = region
		if got := c.address(); got != want || c.Validate() != nil {
			t.Errorf("%s: %s, %v", region, got, c.Validate())
		}
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 429} {
		c := channeltest.NewCarrier(channeltest.Says(channeltest.Reply{
			Status: status,
			Header: map[string]string{"Retry-After": "7"},
			Body:   `{"__type":"ThrottlingException"}`,
		}))
		_, err := open(t, settings(c.URL), c.Client(), nil).Send(t.Context(), channeltest.Message(channel.SMS))
		if e := channel.AsError(name, err); e.Kind != channel.Throttled || e.RetryAfter != 7*time.Second {
			t.Errorf("%v after %s", e, e.RetryAfter)
		}
		c.Close()
	}
}

func TestCheckAndFeedback(t *testing.T) {
	t.Parallel()
	m := loadModel(t)
	for _, row := range []struct {
		reply channeltest.Reply
		code  string
	}{
		{reply(200, `{"AccountAttributes":[{"Name":"ACCOUNT_TIER","Value":"PRODUCTION"}]}`), ""},
		{reply(200, `{"AccountAttributes":[]}`), ""},
		{reply(200, `{"AccountAttributes":[{"Name":"ACCOUNT_TIER","Value":"SANDBOX"}]}`), "sandbox"},
		{reply(200, `[`), "answer"},
		{reply(400, `{"__type":"UnrecognizedClientException"}`), "UnrecognizedClientException"},
		{reply(503, ``), "HTTP 503"},
	} {
		c := channeltest.NewCarrier(channeltest.Says(row.reply))
		err := open(t, settings(c.URL), c.Client(), nil).(channel.Checker).Check(t.Context())
		if got := channel.AsError(name, err); (err == nil) != (row.code == "") || (err != nil && got.Code != row.code) {
			t.Errorf("%s: %v", row.reply.Body, err)
		}
		r := c.Requests()[0]
		if err := m.judge("DescribeAccountAttributes", r.Body); err != nil ||
			r.Header.Get("X-Amz-Target") != "PinpointSMSVoiceV2.DescribeAccountAttributes" {
			t.Errorf("%s %v", r.Header.Get("X-Amz-Target"), err)
		}
		c.Close()
	}

	to := channeltest.Message(channel.SMS).To
	c := channeltest.NewCarrier(channeltest.Says(reply(200, `{}`)))
	defer c.Close()
	for i, want := range []string{"RECEIVED", "FAILED"} {
		if err := open(t, settings(c.URL), c.Client(), nil).(channel.Feedback).Converted(t.Context(), id, to,
			want == "RECEIVED"); err != nil {
			t.Fatal(err)
		}
		r := c.Requests()[i]
		if err := m.judge("PutMessageFeedback", r.Body); err != nil || !strings.Contains(string(r.Body), want) ||
			!strings.Contains(string(r.Body), id) {
			t.Errorf("%s: %v", r.Body, err)
		}
	}
	quiet := settings(c.URL)
	quiet.MessageFeedback = false
	if err := open(t, quiet, c.Client(), nil).(channel.Feedback).Converted(t.Context(), id, to, true); err != nil ||
		len(c.Requests()) != 2 {
		t.Errorf("feedback that nobody wants: %v, %d requests", err, len(c.Requests()))
	}
	none := channeltest.NewCarrier(channeltest.Says(reply(400, `{"__type":"ResourceNotFoundException"}`)))
	defer none.Close()
	if err := open(t, settings(none.URL), none.Client(), nil).(channel.Feedback).Converted(t.Context(), id, to,
		true); channel.AsError(name, err).Code != "ResourceNotFoundException" {
		t.Errorf("a message that AWS does not know: %v", err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"region":                            func(c *Config) { c.Region = "Ireland" },
		"access_key_id":                     func(c *Config) { c.AccessKeyID = "me" },
		"secret_access_key":                 func(c *Config) { c.SecretAccessKey = secret.Text{} },
		"secret_access_key and":             func(c *Config) { c.SecretAccessKey = secret.New("a\nb") },
		"secret_access_key and session":     func(c *Config) { c.SessionToken = secret.New("a b") },
		"origination_identity":              func(c *Config) { c.OriginationIdentity = "my name" },
		"configuration_set: must":           func(c *Config) { c.ConfigurationSet = "my set" },
		"configuration_set: is":             func(c *Config) { c.ConfigurationSet = "" },
		"protect_configuration_id":          func(c *Config) { c.ProtectConfigurationID = "my set" },
		"topic_arn: must be an ARN":         func(c *Config) { c.TopicARN = "sms-events" },
		"topic_arn: must be an ARN like ar": func(c *Config) { c.TopicARN = "arn:aws:sns:evil.example.com/:123456789012:x" },
		"max_price":                         func(c *Config) { c.MaxPrice = "a dime" },
		"url":                               func(c *Config) { c.URL = "sms-voice" },
	} {
		c := settings("")
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
