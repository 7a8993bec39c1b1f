package api

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/secret"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Render returns a verification as the API does, for events.
func Render(v *verify.Verification, now time.Time) ([]byte, error) {
	return json.Marshal(viewVerification(v, now))
}

type webhookView struct {
	ID          string           `json:"id"`
	Application string           `json:"application"`
	Mode        application.Mode `json:"mode"`
	URL         string           `json:"url"`
	Events      []webhook.Kind   `json:"events"`
	Description string           `json:"description"`
	Enabled     bool             `json:"enabled"`
	// Secret is answered once, when it is made.
	Secret        string         `json:"secret,omitempty"`
	PreviousUntil time.Time      `json:"previous_secret_until,omitzero"`
	DisabledAt    time.Time      `json:"disabled_at,omitzero"`
	Reason        webhook.Reason `json:"disabled_reason,omitempty"`
	FailingSince  time.Time      `json:"failing_since,omitzero"`
	CreatedAt     time.Time      `json:"created_at"`
	UpdatedAt     time.Time      `json:"updated_at"`
}

func (a *api) viewWebhook(e webhook.Endpoint, s secret.Text) webhookView {
	v := webhookView{
		ID:           e.ID.Text(id.Webhook),
		Application:  e.App.Text(id.Application),
		Mode:         application.Live,
		URL:          e.URL,
		Events:       e.Kinds,
		Description:  e.Description,
		Enabled:      e.Enabled(),
		Secret:       s.Reveal(),
		DisabledAt:   e.Disabled,
		Reason:       e.Reason,
		FailingSince: e.Failing,
		CreatedAt:    e.Created,
		UpdatedAt:    e.Updated,
	}
	if e.Test {
		v.Mode = application.Test
	}
	if len(e.Kinds) == 0 {
		v.Events = webhook.Kinds()
	}
	if len(e.Secrets) > 1 && a.Now().Before(e.Secrets[1].Until) {
		v.PreviousUntil = e.Secrets[1].Until
	}
	return v
}

type eventView struct {
	ID           string        `json:"id"`
	Type         webhook.Kind  `json:"type"`
	Verification string        `json:"verification,omitempty"`
	Status       string        `json:"status"`
	CreatedAt    time.Time     `json:"created_at"`
	NextAt       time.Time     `json:"next_attempt_at,omitzero"`
	Attempts     []attemptView `json:"attempts"`
}

type attemptView struct {
	At       time.Time `json:"at"`
	HTTPCode int       `json:"http_status,omitzero"`
	Error    string    `json:"error,omitempty"`
	TookMS   int64     `json:"took_ms"`
}

func viewEvent(e *webhook.Event, enabled bool) eventView {
	v := eventView{
		ID:        e.Event.Text(id.Event),
		Type:      e.Kind,
		Status:    e.State.String(),
		CreatedAt: e.ID.Time(),
		Attempts:  make([]attemptView, len(e.Log)),
	}
	if !e.Ref.IsZero() {
		v.Verification = e.Ref.Text(id.Verification)
	}
	if enabled {
		v.NextAt = e.Due
	}
	for i, t := range e.Log {
		v.Attempts[i] = attemptView{t.At, t.Status, t.Error, t.Took}
	}
	return v
}

func (a *api) listWebhooks(w http.ResponseWriter, r *http.Request) error {
	app, err := onlyApplication(r)
	if err != nil {
		return err
	}
	out := data[webhookView]{Data: []webhookView{}}
	for _, e := range a.Webhooks.Endpoints(app) {
		out.Data = append(out.Data, a.viewWebhook(e, secret.Text{}))
	}
	return answer(w, http.StatusOK, out)
}

func (a *api) createWebhook(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Application *string          `json:"application"`
		Mode        application.Mode `json:"mode"`
		URL         *string          `json:"url"`
		Events      []webhook.Kind   `json:"events"`
		Description string           `json:"description"`
	}
	if _, err := decode(w, r, &in, false); err != nil {
		return err
	}
	switch {
	case in.Application == nil:
		return missing("application")
	case in.URL == nil:
		return missing("url")
	case in.Mode != "" && in.Mode != application.Live && in.Mode != application.Test:
		return wrong("mode", "invalid_value", "must be live or test")
	}
	app, err := id.Parse(id.Application, *in.Application)
	if err != nil {
		return wrong("application", "invalid_value", "is not the id of an application")
	}
	if _, err := a.Directory.Application(app); err != nil {
		return err
	}
	e, s, err := a.Webhooks.Create(r.Context(), webhook.Endpoint{
		App: app, Test: in.Mode == application.Test, URL: *in.URL, Kinds: in.Events, Description: in.Description,
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, a.viewWebhook(e, s))
}

func (a *api) getWebhook(w http.ResponseWriter, r *http.Request) error {
	e, err := a.webhook(r)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, a.viewWebhook(e, secret.Text{}))
}

// webhook returns the endpoint that the path names.
func (a *api) webhook(r *http.Request) (webhook.Endpoint, error) {
	v, err := pathID(r, id.Webhook)
	if err != nil {
		return webhook.Endpoint{}, err
	}
	return a.Webhooks.Endpoint(v)
}

func (a *api) changeWebhook(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		URL         *string         `json:"url"`
		Events      *[]webhook.Kind `json:"events"`
		Description *string         `json:"description"`
		Enabled     *bool           `json:"enabled"`
	}
	if _, err := decode(w, r, &in, false); err != nil {
		return err
	}
	v, err := pathID(r, id.Webhook)
	if err != nil {
		return err
	}
	e, err := a.Webhooks.Update(r.Context(), v, func(e *webhook.Endpoint) {
		if in.URL != nil {
			e.URL = *in.URL
		}
		if in.Events != nil {
			e.Kinds = *in.Events
		}
		if in.Description != nil {
			e.Description = *in.Description
		}
		switch {
		case in.Enabled == nil:
		case *in.Enabled:
			e.Enable()
		default:
			e.Disable(webhook.ByOperator, a.Now())
		}
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, a.viewWebhook(e, secret.Text{}))
}

func (a *api) deleteWebhook(w http.ResponseWriter, r *http.Request) error {
	v, err := pathID(r, id.Webhook)
	if err != nil {
		return err
	}
	if err := a.Webhooks.Delete(r.Context(), v); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) rotateWebhook(w http.ResponseWriter, r *http.Request) error {
	v, err := pathID(r, id.Webhook)
	if err != nil {
		return err
	}
	e, s, err := a.Webhooks.Rotate(r.Context(), v)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, a.viewWebhook(e, s))
}

func (a *api) testWebhook(w http.ResponseWriter, r *http.Request) error {
	v, err := pathID(r, id.Webhook)
	if err != nil {
		return err
	}
	e, err := a.Webhooks.Ping(r.Context(), v)
	if err != nil {
		return err
	}
	return answer(w, http.StatusAccepted, viewEvent(&e, true))
}

func (a *api) replayWebhook(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Since *time.Time `json:"since"`
		Event *string    `json:"event"`
	}
	if _, err := decode(w, r, &in, false); err != nil {
		return err
	}
	v, err := pathID(r, id.Webhook)
	if err != nil {
		return err
	}
	if (in.Since == nil) == (in.Event == nil) {
		return wrong("since", "required", "give either since, for all that are dead, or event, for one")
	}
	var event id.ID
	var since time.Time
	if in.Event != nil {
		if event, err = id.Parse(id.Event, *in.Event); err != nil {
			return wrong("event", "invalid_value", "is not the id of an event")
		}
	} else {
		since = *in.Since
	}
	n, err := a.Webhooks.Replay(r.Context(), v, event, since)
	if err != nil {
		return err
	}
	return answer(w, http.StatusAccepted, map[string]int{"replayed": n})
}

func (a *api) listEvents(w http.ResponseWriter, r *http.Request) error {
	e, err := a.webhook(r)
	if err != nil {
		return err
	}
	p, err := eventPage(r)
	if err != nil {
		return err
	}
	p.Limit++ // one more reports whether there are more
	events, err := a.Webhooks.Events(r.Context(), e.ID, p)
	if err != nil {
		return err
	}
	out := struct {
		Data []eventView `json:"data"`
		Next *string     `json:"next_cursor"`
	}{Data: []eventView{}}
	for i := range events {
		if i == p.Limit-1 {
			next := base64.RawURLEncoding.EncodeToString(events[i-1].ID[:])
			out.Next = &next
			break
		}
		out.Data = append(out.Data, viewEvent(&events[i], e.Enabled()))
	}
	return answer(w, http.StatusOK, out)
}

// eventPage reads the query of a list of events.
func eventPage(r *http.Request) (p webhook.Page, err error) {
	p.Limit = defaultPage
	for name, values := range r.URL.Query() {
		v := values[0]
		switch name {
		case "status":
			at := slices.IndexFunc(webhook.States(), func(s webhook.State) bool { return s.String() == v })
			if at < 0 {
				return p, wrong(name, "invalid_value", "must be pending, delivered or dead")
			}
			p.State = &webhook.States()[at]
		case "limit":
			if p.Limit, err = strconv.Atoi(v); err != nil || p.Limit < 1 || p.Limit > webhook.MaxPage {
				return p, wrong(name, "out_of_range", "must be 1 to 100")
			}
		case "cursor":
			raw, err := base64.RawURLEncoding.DecodeString(v)
			if err != nil || len(raw) != len(p.Before) {
				return p, wrong(name, "invalid_value", "is not a cursor of ours")
			}
			copy(p.Before[:], raw)
		default:
			return p, wrong(pointerPath(name), "unknown_field", "is not a parameter of this request")
		}
		if len(values) > 1 {
			return p, wrong(name, "invalid_value", "is given twice")
		}
	}
	return p, nil
}
