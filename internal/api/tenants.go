package api

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
)

type applicationView struct {
	ID        string             `json:"id"`
	Name      string             `json:"name"`
	Brand     string             `json:"brand"`
	Policy    application.Policy `json:"policy"`
	CreatedAt time.Time          `json:"created_at"`
	UpdatedAt time.Time          `json:"updated_at"`
}

func viewApplication(a application.Application) applicationView {
	return applicationView{a.ID.Text(id.Application), a.Name, a.Brand, a.Policy, a.Created, a.Updated}
}

type keyView struct {
	ID          string              `json:"id"`
	Application string              `json:"application,omitempty"`
	Name        string              `json:"name"`
	Mode        application.Mode    `json:"mode"`
	Scopes      []application.Scope `json:"scopes"`
	Prefix      string              `json:"prefix"`
	Secret      string              `json:"secret,omitempty"`
	CreatedAt   time.Time           `json:"created_at"`
	ExpiresAt   time.Time           `json:"expires_at,omitzero"`
	RevokedAt   time.Time           `json:"revoked_at,omitzero"`
	LastUsedAt  time.Time           `json:"last_used_at,omitzero"`
}

func viewKey(k application.Key) keyView {
	v := keyView{
		ID:         k.ID.Text(id.Key),
		Name:       k.Name,
		Mode:       k.Mode,
		Scopes:     k.Scopes,
		Prefix:     k.Prefix,
		CreatedAt:  k.Created,
		ExpiresAt:  k.Expires,
		RevokedAt:  k.Revoked,
		LastUsedAt: k.LastUsed,
	}
	if !k.App.IsZero() {
		v.Application = k.App.Text(id.Application)
	}
	return v
}

// data is a list that is answered whole.
type data[T any] struct {
	Data []T `json:"data"`
}

func (a *api) listApplications(w http.ResponseWriter, _ *http.Request) error {
	out := data[applicationView]{Data: []applicationView{}}
	for _, app := range a.Directory.Applications() {
		out.Data = append(out.Data, viewApplication(app))
	}
	return answer(w, http.StatusOK, out)
}

// applicationBody is the body of a new application and of a change.
type applicationBody struct {
	Name   *string             `json:"name"`
	Brand  *string             `json:"brand"`
	Policy *application.Policy `json:"policy"`
}

// apply puts what was given into app.
func (b applicationBody) apply(app *application.Application) {
	if b.Name != nil {
		app.Name = *b.Name
	}
	if b.Brand != nil {
		app.Brand = *b.Brand
	}
	if b.Policy != nil {
		app.Policy = *b.Policy
	}
}

func (a *api) createApplication(w http.ResponseWriter, r *http.Request) error {
	var in applicationBody
	if _, err := decode(w, r, &in, false); err != nil {
		return err
	}
	var app application.Application
	in.apply(&app)
	if err := a.freeName(app); err != nil {
		return err
	}
	app, err := a.Directory.Create(r.Context(), app)
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, viewApplication(app))
}

// freeName refuses a name that another application has: commands name applications by it.
func (a *api) freeName(app application.Application) error {
	other, err := a.Directory.ByName(app.Name)
	if err == nil && other.ID != app.ID {
		return newProblem("name_taken", "another application has this name")
	}
	return nil
}

func (a *api) application(r *http.Request) (application.Application, error) {
	v, err := pathID(r, id.Application)
	if err != nil {
		return application.Application{}, err
	}
	return a.Directory.Application(v)
}

func (a *api) getApplication(w http.ResponseWriter, r *http.Request) error {
	app, err := a.application(r)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, viewApplication(app))
}

func (a *api) changeApplication(w http.ResponseWriter, r *http.Request) error {
	var in applicationBody
	if _, err := decode(w, r, &in, false); err != nil {
		return err
	}
	app, err := a.application(r)
	if err != nil {
		return err
	}
	in.apply(&app)
	if err := a.freeName(app); err != nil {
		return err
	}
	if app, err = a.Directory.Update(r.Context(), app); err != nil {
		return err
	}
	return answer(w, http.StatusOK, viewApplication(app))
}

// onlyApplication reads the query of a list that may be of one application; the zero id for all.
func onlyApplication(r *http.Request) (app id.ID, err error) {
	for name, values := range r.URL.Query() {
		if name != "application" || len(values) > 1 {
			return app, wrong(pointerPath(name), "unknown_field", "is not a parameter of this request, or is given twice")
		}
		if app, err = id.Parse(id.Application, values[0]); err != nil {
			return app, wrong(name, "invalid_value", "is not the id of an application")
		}
	}
	return app, nil
}

func (a *api) listKeys(w http.ResponseWriter, r *http.Request) error {
	app, err := onlyApplication(r)
	if err != nil {
		return err
	}
	out := data[keyView]{Data: []keyView{}}
	for _, k := range a.Directory.Keys(app) {
		out.Data = append(out.Data, viewKey(k))
	}
	return answer(w, http.StatusOK, out)
}

func (a *api) createKey(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Application *string             `json:"application"`
		Name        string              `json:"name"`
		Mode        application.Mode    `json:"mode"`
		Scopes      []application.Scope `json:"scopes"`
		ExpiresAt   time.Time           `json:"expires_at"`
	}
	if _, err := decode(w, r, &in, false); err != nil {
		return err
	}
	n := application.NewKey{Name: in.Name, Mode: in.Mode, Scopes: in.Scopes, Expires: in.ExpiresAt}
	if n.Mode == "" {
		n.Mode = application.Live
	}
	if in.Application != nil {
		var err error
		if n.App, err = id.Parse(id.Application, *in.Application); err != nil {
			return wrong("application", "invalid_value", "is not the id of an application")
		}
	}
	k, secret, err := a.Directory.CreateKey(r.Context(), n)
	if err != nil {
		return err
	}
	v := viewKey(k)
	v.Secret = secret
	return answer(w, http.StatusCreated, v)
}

func (a *api) revokeKey(w http.ResponseWriter, r *http.Request) error {
	kid, err := pathID(r, id.Key)
	if err != nil {
		return err
	}
	k, err := a.Directory.Revoke(r.Context(), kid)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, viewKey(k))
}

// callback hands a provider's receipt to deliver.
func (a *api) callback(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return newProblem("body_too_large", "a receipt may have at most 256 KiB")
	}
	if err != nil {
		return newProblem("bad_request", "the body ended early or came too slowly")
	}
	status, kind, out := a.Callbacks.Callback(r.Context(), r.PathValue("route"), r.PathValue("token"), channel.Callback{
		Method: r.Method, URL: a.publicURL(r), Header: r.Header, Body: body,
	})
	if kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	w.WriteHeader(status)
	_, _ = w.Write(out) // the provider has gone: there is nobody to tell
	return nil
}

// publicURL returns the address as the provider called it, which signatures cover. What a proxy in front has made of
// it does not matter: the configuration says what it was.
func (a *api) publicURL(r *http.Request) *url.URL {
	u := *r.URL
	if base, err := url.Parse(a.PublicURL); err == nil && base.Host != "" {
		u.Scheme, u.Host, u.Path = base.Scheme, base.Host, base.Path+r.URL.Path
	}
	return &u
}
