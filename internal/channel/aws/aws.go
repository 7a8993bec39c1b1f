// Package aws is the provider that sends SMS by AWS End User Messaging (the API "Pinpoint SMS and Voice, version 2").
//
// It speaks JSON 1.0 and signs its requests itself. It does not call: AWS reads a text to whoever picks up and cannot
// wait for a key, so a mailbox would record the code.
package aws

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	name    = "aws"
	service = "sms-voice"
	target  = "PinpointSMSVoiceV2."
)

// AWS's bounds of TimeToLive, in seconds (shape TimeToLive).
const (
	minLife = 5
	maxLife = 259_200
)

// contextKey is under which a message's events repeat its token.
const contextKey = "dialproof"

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "AWS End User Messaging",
		Summary:  "SMS by AWS End User Messaging (Pinpoint SMS and Voice v2).",
		Docs:     "https://docs.aws.amazon.com/sms-voice/latest/userguide/",
		Channels: []channel.Kind{channel.SMS},
		Config:   func() channel.Opener { return &Config{MessageFeedback: true} },
	}
}

// Config is the settings of a route.
type Config struct {
	Region                 string      `yaml:"region" example:"eu-west-1" doc:"The AWS region that sends."`
	AccessKeyID            string      `yaml:"access_key_id" example:"AKIAIOSFODNN7EXAMPLE" doc:"The access key's id."`
	SecretAccessKey        secret.Text `yaml:"secret_access_key" example:"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" doc:"The access key's secret."`
	SessionToken           secret.Text `yaml:"session_token" doc:"The session token of temporary credentials. Dialproof does not renew it."`
	OriginationIdentity    string      `yaml:"origination_identity" doc:"The sender where the route has none: a number, a sender ID, a pool, or the ARN of one."`
	ConfigurationSet       string      `yaml:"configuration_set" doc:"The configuration set whose event destination reports to Dialproof."`
	TopicARN               string      `yaml:"topic_arn" doc:"The SNS topic of that event destination. Receipts of no other topic are believed; without it there are none."`
	ProtectConfigurationID string      `yaml:"protect_configuration_id" doc:"A protect configuration that says which countries may be sent to."`
	MaxPrice               string      `yaml:"max_price" doc:"The most that one message may cost, in US dollars, like 0.10. A dearer one goes by another route."`
	MessageFeedback        bool        `yaml:"message_feedback" doc:"Tell AWS which codes were typed. On by default."`
	URL                    string      `yaml:"url" doc:"Another address of the API, for a VPC endpoint or a test. Default that of the region."`
}

var (
	regionForm   = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	keyForm      = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
	identityForm = regexp.MustCompile(`^[A-Za-z0-9_:/+-]{1,256}$`)
	resourceForm = regexp.MustCompile(`^[A-Za-z0-9_:/-]{1,256}$`)
	topicForm    = regexp.MustCompile(`^arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}$`)
	priceForm    = regexp.MustCompile(`^[0-9]{0,2}\.[0-9]{1,5}$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case !regionForm.MatchString(c.Region):
		return errors.New("region: must be a region like eu-west-1")
	case !keyForm.MatchString(c.AccessKeyID):
		return errors.New("access_key_id: must be the id of an access key, like AKIAIOSFODNN7EXAMPLE")
	case c.SecretAccessKey.IsZero():
		return errors.New("secret_access_key: is missing; AWS shows it once, when the key is made")
	case strings.ContainsAny(c.SecretAccessKey.Reveal()+c.SessionToken.Reveal(), " \r\n"):
		return errors.New("secret_access_key and session_token: must be on one line")
	case c.OriginationIdentity != "" && !identityForm.MatchString(c.OriginationIdentity):
		return errors.New("origination_identity: must be a number, a sender ID, a pool, or an ARN")
	case c.ConfigurationSet != "" && !resourceForm.MatchString(c.ConfigurationSet):
		return errors.New("configuration_set: must be a name or an ARN")
	case c.ProtectConfigurationID != "" && !resourceForm.MatchString(c.ProtectConfigurationID):
		return errors.New("protect_configuration_id: must be an id or an ARN")
	case c.TopicARN != "" && !topicForm.MatchString(c.TopicARN):
		return errors.New("topic_arn: must be an ARN like arn:aws:sns:eu-west-1:123456789012:sms-events")
	case c.TopicARN != "" && c.ConfigurationSet == "":
		return errors.New(
			"configuration_set: is missing; AWS reports only on messages of the set whose event destination is the topic",
		)
	case c.MaxPrice != "" && !priceForm.MatchString(c.MaxPrice):
		return errors.New("max_price: must be US dollars like 0.10, below 100, with at most 5 decimals")
	case !rest.IsBase(c.address()):
		return errors.New("url: must be an address like https://sms-voice.eu-west-1.amazonaws.com")
	}
	return nil
}

// address returns where the API is.
func (c *Config) address() string {
	if c.URL != "" {
		return c.URL
	}
	return "https://sms-voice." + c.Region + "." + domain(c.Region)
}

// domain returns the domain of a region's services: the Chinese ones have their own.
func domain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{
		cfg:   *c,
		route: env.Route,
		log:   env.Log,
		key:   credentials{id: c.AccessKeyID, secret: c.SecretAccessKey, token: c.SessionToken},
		api:   rest.New(env, name, c.address(), nil),
	}, nil
}

type sender struct {
	rest.SMS
	cfg   Config
	route string
	key   credentials
	api   rest.Client
	log   *slog.Logger
	certs certificates
}

var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
	_ channel.Checker  = (*sender)(nil)
	_ channel.Feedback = (*sender)(nil)
)

// order is a message to send (shape SendTextMessageRequest).
type order struct {
	DestinationPhoneNumber       string            `json:"DestinationPhoneNumber"`
	OriginationIdentity          string            `json:"OriginationIdentity,omitempty"`
	MessageBody                  string            `json:"MessageBody"`
	MessageType                  string            `json:"MessageType"`
	ConfigurationSetName         string            `json:"ConfigurationSetName,omitempty"`
	MaxPrice                     string            `json:"MaxPrice,omitempty"`
	TimeToLive                   int               `json:"TimeToLive,omitempty"`
	Context                      map[string]string `json:"Context,omitempty"`
	DestinationCountryParameters map[string]string `json:"DestinationCountryParameters,omitempty"`
	ProtectConfigurationID       string            `json:"ProtectConfigurationId,omitempty"`
	MessageFeedbackEnabled       bool              `json:"MessageFeedbackEnabled,omitempty"`
}

// Send implements channel.Sender. Without a sender, AWS chooses one of the account's that fits the country.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	o := order{
		DestinationPhoneNumber:       m.To.E164(),
		OriginationIdentity:          cmp.Or(m.From, s.cfg.OriginationIdentity),
		MessageBody:                  m.Text.Body,
		MessageType:                  "TRANSACTIONAL",
		ConfigurationSetName:         s.cfg.ConfigurationSet,
		MaxPrice:                     s.cfg.MaxPrice,
		ProtectConfigurationID:       s.cfg.ProtectConfigurationID,
		MessageFeedbackEnabled:       s.cfg.MessageFeedback,
		DestinationCountryParameters: registered(m.Regulatory),
	}
	if m.Token != "" {
		o.Context = map[string]string{contextKey: m.Token}
	}
	if !m.ExpiresAt.IsZero() {
		o.TimeToLive = rest.Life(m.ExpiresAt, s.api.Now(), minLife, maxLife)
	}
	a, err := s.do(ctx, "SendTextMessage", o)
	if err != nil {
		return channel.Accepted{}, err
	}
	if !rest.Good(a) {
		return channel.Accepted{}, s.refused(a)
	}
	var said struct {
		ID string `json:"MessageId"`
	}
	if a.JSON(&said) != nil || said.ID == "" {
		return channel.Accepted{}, rest.NoID(name)
	}
	return channel.Accepted{ID: said.ID, Status: channel.Taken}, nil
}

// registered returns what India asks for, by AWS's names.
func registered(fields map[string]string) map[string]string {
	out := map[string]string{}
	for ours, theirs := range map[string]string{"dlt_entity_id": "IN_ENTITY_ID", "dlt_template_id": "IN_TEMPLATE_ID"} {
		if v := fields[ours]; v != "" {
			out[theirs] = v
		}
	}
	return out
}

// do makes a call of an operation.
func (s *sender) do(ctx context.Context, operation string, body any) (channel.Answer, error) {
	call := s.api
	call.Authorize = func(r *http.Request, text []byte) *channel.Error {
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
		r.Header.Set("X-Amz-Target", target+operation)
		sign(r, text, s.key, s.cfg.Region, service, s.api.Now())
		return nil
	}
	return call.JSON(ctx, http.MethodPost, "/", body)
}

// Check implements channel.Checker: it asks for the account's attributes, among them whether it is out of the sandbox.
func (s *sender) Check(ctx context.Context) error {
	a, err := s.do(ctx, "DescribeAccountAttributes", struct{}{})
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return s.refused(a)
	}
	var said struct {
		Attributes []struct {
			Name  string `json:"Name"`
			Value string `json:"Value"`
		} `json:"AccountAttributes"`
	}
	if a.JSON(&said) != nil {
		return rest.Means(channel.MaybeSent, "the answer makes no sense").Error(name, "answer")
	}
	for _, at := range said.Attributes {
		if at.Name == "ACCOUNT_TIER" && at.Value == "SANDBOX" {
			return rest.Refused(name, "sandbox",
				"the account is in the sandbox of this region and reaches only verified numbers: ask AWS for production access")
		}
	}
	return nil
}

// Converted implements channel.Feedback.
func (s *sender) Converted(ctx context.Context, providerID string, _ phone.Number, ok bool) error {
	if !s.cfg.MessageFeedback {
		return nil
	}
	outcome := "FAILED"
	if ok {
		outcome = "RECEIVED"
	}
	a, err := s.do(ctx, "PutMessageFeedback", map[string]string{"MessageId": providerID, "MessageFeedbackStatus": outcome})
	if err == nil && a.Status != http.StatusOK {
		return s.refused(a)
	}
	return err
}
