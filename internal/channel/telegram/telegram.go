// Package telegram is the provider that sends codes by the Telegram Gateway.
//
// The code is Dialproof's own: Telegram shows it in its chat of verification codes and is told neither attempts nor
// limits.
package telegram

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "telegram"

// Telegram's bounds of a message (core.telegram.org/gateway/api, sendVerificationMessage): its life in seconds, its
// code in digits, and the callback's address and the payload in bytes.
const (
	minLife     = 60
	maxLife     = 86_400
	minCode     = 4
	maxCode     = 8
	maxCallback = 256
	maxPayload  = 128
)

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Telegram",
		Summary:  "Telegram messages by the Telegram Gateway.",
		Docs:     "https://core.telegram.org/gateway/api",
		Channels: []channel.Kind{channel.Telegram},
		Config:   func() channel.Opener { return &Config{URL: "https://gatewayapi.telegram.org"} },
	}
}

// Config is the settings of a route.
type Config struct {
	Token          secret.Text `yaml:"token" example:"AAEExampleToken0123456789" doc:"The API token of your Gateway account. It also signs Telegram's receipts."`
	SenderUsername string      `yaml:"sender_username" doc:"A verified channel of yours that the code comes from, without @. Without one it comes from Telegram's own chat."`
	CheckFirst     bool        `yaml:"check_first" doc:"Ask whether the number can be reached before each send. The question costs what a send costs, and the send after it is free."`
	URL            string      `yaml:"url" doc:"Another address of the API, for a test. Default https://gatewayapi.telegram.org."`
}

var usernameForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{3,31}$`)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case c.Token.IsZero() || strings.ContainsAny(c.Token.Reveal(), " \r\n\t"):
		return errors.New("token: is missing, or has a space in it; the account's settings at gateway.telegram.org show it")
	case c.SenderUsername != "" && !usernameForm.MatchString(c.SenderUsername):
		return errors.New("sender_username: must be a channel's username, without @")
	case !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://gatewayapi.telegram.org")
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{*c, rest.New(env, name, c.URL+"/", rest.Bearer("Authorization", "Bearer "+c.Token.Reveal()))}, nil
}

type sender struct {
	cfg Config
	api rest.Client
}

var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
	_ channel.Answerer = (*sender)(nil)
	_ channel.Checker  = (*sender)(nil)
)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return []channel.Kind{channel.Telegram} }

// order is a message to send.
type order struct {
	PhoneNumber    string `json:"phone_number"`
	RequestID      string `json:"request_id,omitempty"`
	SenderUsername string `json:"sender_username,omitempty"`
	Code           string `json:"code"`
	CallbackURL    string `json:"callback_url,omitempty"`
	Payload        string `json:"payload,omitempty"`
	TTL            int    `json:"ttl,omitempty"`
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	code := m.Code.Reveal()
	if len(code) < minCode || len(code) > maxCode || strings.Trim(code, "0123456789") != "" {
		// No Telegram route can carry it, so the channel ends and the next one has its turn.
		return channel.Accepted{}, rest.Means(channel.Rejected, "Telegram takes codes of 4 to 8 digits alone").
			Error(name, "code_form")
	}
	o := order{PhoneNumber: m.To.E164(), Code: code, SenderUsername: s.from(m)}
	if strings.HasPrefix(m.Callback, "https://") && len(m.Callback) <= maxCallback {
		o.CallbackURL = m.Callback
	}
	if len(m.Token) <= maxPayload {
		o.Payload = m.Token
	}
	if !m.ExpiresAt.IsZero() {
		o.TTL = rest.Life(m.ExpiresAt, s.api.Now(), minLife, maxLife)
	}
	var paid price
	if s.cfg.CheckFirst {
		ability, err := s.able(ctx, o.PhoneNumber)
		if err != nil {
			return channel.Accepted{}, err
		}
		o.RequestID, paid = ability.RequestID, ability.RequestCost
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "sendVerificationMessage", o)
	if err != nil {
		return channel.Accepted{}, err
	}
	st, err := s.judge(a)
	if err != nil {
		return channel.Accepted{}, err
	}
	out := channel.Accepted{ID: st.RequestID, Status: channel.Taken}
	if st.Delivery != nil {
		out.Status = statusOf(st.Delivery.Status)
	}
	if out.Price, out.Currency = st.RequestCost.decimal(); out.Price == "" || out.Price == "0" {
		if was, currency := paid.decimal(); was != "" {
			out.Price, out.Currency = was, currency
		}
	}
	return out, nil
}

// from returns the channel that the code comes from: the route's sender before the setting.
func (s *sender) from(m channel.Message) string {
	if from := strings.TrimPrefix(m.From, "@"); usernameForm.MatchString(from) {
		return from
	}
	return s.cfg.SenderUsername
}

// able asks whether the number can be reached. Whatever goes wrong here, no message has left.
func (s *sender) able(ctx context.Context, number string) (requestStatus, error) {
	a, err := s.api.JSON(ctx, http.MethodPost, "checkSendAbility", map[string]string{"phone_number": number})
	var st requestStatus
	if err == nil {
		st, err = s.judge(a)
	}
	if err == nil && st.RequestID == "" {
		err = rest.NoID(name) // the send after it would be charged once more
	}
	if err != nil {
		e := channel.AsError(name, err)
		if e.Kind == channel.MaybeSent {
			e.Kind = channel.Unavailable
		}
		return requestStatus{}, e
	}
	return st, nil
}

// envelope is around every answer.
type envelope struct {
	OK     bool          `json:"ok"`
	Result requestStatus `json:"result"`
	Error  string        `json:"error"`
}

// judge reads an answer that should tell of a request.
func (s *sender) judge(a channel.Answer) (requestStatus, error) {
	var said envelope
	bad := a.JSON(&said) != nil
	switch {
	case rest.Good(a) && !bad && said.OK: // an id that is missing is not missed: receipts repeat the payload
		return said.Result, nil
	case a.Status >= 500 || bad || said.OK || said.Error == "":
		if rest.Good(a) {
			return requestStatus{}, rest.NoID(name)
		}
		return requestStatus{}, s.api.Status(a)
	}
	return requestStatus{}, s.refused(a, said.Error)
}

// Check implements channel.Checker. Telegram has no question that costs nothing, but it looks at the token before it
// looks for a request, and says which of the two it does not know.
func (s *sender) Check(ctx context.Context) error {
	a, err := s.api.JSON(ctx, http.MethodPost, "checkVerificationStatus", map[string]string{"request_id": "0"})
	if err != nil {
		return err
	}
	var said envelope
	if a.JSON(&said) != nil || a.Status >= 500 || said.Error == "" && !said.OK {
		return s.api.Status(a)
	}
	if e := s.refused(a, said.Error); strings.HasPrefix(said.Error, "ACCESS_TOKEN") || e.Kind == channel.Throttled {
		return e
	}
	return nil
}
