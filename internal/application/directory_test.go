package application_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
)

// shelf is a store in memory. Its version grows with every change.
type shelf struct {
	mu      sync.Mutex
	apps    map[id.ID]application.Application
	keys    map[id.ID]application.Key
	version int64
	broken  error
	reads   int
}

func newShelf() *shelf {
	return &shelf{apps: map[id.ID]application.Application{}, keys: map[id.ID]application.Key{}, version: 1}
}

func (s *shelf) Applications(context.Context) ([]application.Application, error) {
	s.reads++
	return slices.Collect(maps.Values(s.apps)), s.broken
}

func (s *shelf) Keys(context.Context) ([]application.Key, error) {
	return slices.Collect(maps.Values(s.keys)), s.broken
}

func (s *shelf) PutApplication(_ context.Context, a application.Application) error {
	if s.broken != nil {
		return s.broken
	}
	s.apps[a.ID], s.version = a, s.version+1
	return nil
}

func (s *shelf) PutKey(_ context.Context, k application.Key) error {
	if s.broken != nil {
		return s.broken
	}
	s.keys[k.ID], s.version = k, s.version+1
	return nil
}

func (s *shelf) TouchKeys(_ context.Context, used map[id.ID]time.Time) error {
	if s.broken != nil {
		return s.broken
	}
	for k, at := range used {
		row := s.keys[k]
		row.LastUsed = at
		s.keys[k] = row
	}
	return nil
}

func (s *shelf) Version(context.Context) (int64, error) { return s.version, s.broken }

type clock struct{ now time.Time }

func open(t *testing.T, s *shelf) (*application.Directory, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)}
	d, err := application.Open(t.Context(), s, id.NewSource(id.ID{}), func() time.Time { return c.now })
	if err != nil {
		t.Fatal(err)
	}
	return d, c
}

func shop(t *testing.T, d *application.Directory) application.Application {
	t.Helper()
	a, err := d.Create(t.Context(), application.Application{Name: "shop", Brand: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T, d *application.Directory, n application.NewKey) (application.Key, string) {
	t.Helper()
	k, token, err := d.CreateKey(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return k, token
}

func TestAKeyLivesAndDies(t *testing.T) {
	t.Parallel()
	s := newShelf()
	d, c := open(t, s)
	app := shop(t, d)
	k, token := newKey(t, d, application.NewKey{
		App:     app.ID,
		Name:    "web",
		Mode:    application.Live,
		Scopes:  []application.Scope{application.Verify},
		Expires: c.now.Add(time.Hour),
	})
	if !strings.HasPrefix(token, "dp_live_") || len(token) != len("dp_live_")+32 || !strings.HasPrefix(token, k.Prefix) ||
		len(k.Prefix) != len("dp_live_")+4 {
		t.Errorf("the key %q has the prefix %q", token, k.Prefix)
	}
	caller, err := d.Authenticate(token)
	if err != nil || caller.App.ID != app.ID || !caller.May(application.Verify) || caller.May(application.Read) ||
		caller.May(application.Admin) {
		t.Errorf("%+v, %v", caller, err)
	}
	for _, wrong := range []string{"", token[:len(token)-1], token + "a", strings.ToUpper(token), k.Prefix} {
		if _, err := d.Authenticate(wrong); !errors.Is(err, application.ErrKey) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	c.now = c.now.Add(time.Hour)
	if _, err := d.Authenticate(token); !errors.Is(err, application.ErrKeyExpired) {
		t.Errorf("at its expiry: %v", err)
	}
	c.now = c.now.Add(-time.Minute)
	if _, err := d.Revoke(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Authenticate(token); !errors.Is(err, application.ErrKey) {
		t.Errorf("after its revocation: %v", err)
	}
	first := s.keys[k.ID].Revoked
	c.now = c.now.Add(time.Minute)
	if again, err := d.Revoke(t.Context(), k.ID); err != nil || !again.Revoked.Equal(first) {
		t.Errorf("a second revocation: %v, %v", again.Revoked, err)
	}
	if _, err := d.Revoke(t.Context(), app.ID); !errors.Is(err, application.ErrNotFound) {
		t.Errorf("a key of nobody: %v", err)
	}
}

// TestOtherNodesSeeChanges runs two directories over one store: a revocation on one counts on the other with its next
// refresh, and a refresh without news reads nothing but the version.
func TestOtherNodesSeeChanges(t *testing.T) {
	t.Parallel()
	s := newShelf()
	a, _ := open(t, s)
	b, _ := open(t, s)
	k, token := newKey(t, a, application.NewKey{
		App:    shop(t, a).ID,
		Name:   "web",
		Mode:   application.Test,
		Scopes: []application.Scope{application.Read},
	})
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Authenticate(token); err != nil {
		t.Errorf("the new key on the other node: %v", err)
	}
	reads := s.reads
	if err := b.Refresh(t.Context()); err != nil || s.reads != reads {
		t.Errorf("a refresh without news: %d reads, %v", s.reads-reads, err)
	}
	if _, err := a.Revoke(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Authenticate(token); !errors.Is(err, application.ErrKey) {
		t.Errorf("the revoked key on the other node: %v", err)
	}
}

// TestTheStoreFails: what is known stays known, what cannot be written is an error, and nothing half counts.
func TestTheStoreFails(t *testing.T) {
	t.Parallel()
	s := newShelf()
	d, c := open(t, s)
	app := shop(t, d)
	k, token := newKey(t, d,
		application.NewKey{App: app.ID, Name: "web", Mode: application.Live, Scopes: []application.Scope{application.Verify}})
	s.broken = errors.New("planted")
	for name, err := range map[string]error{
		"refresh": d.Refresh(t.Context()),
		"create":  second(d.Create(t.Context(), application.Application{Name: "a", Brand: "A"})),
		"revoke":  second(d.Revoke(t.Context(), k.ID)),
	} {
		if !errors.Is(err, s.broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.Authenticate(token); err != nil {
		t.Errorf("a known key: %v", err)
	}
	if err := d.Flush(t.Context()); !errors.Is(err, s.broken) {
		t.Errorf("flush: %v", err)
	}
	s.broken = nil
	if err := d.Flush(t.Context()); err != nil || !s.keys[k.ID].LastUsed.Equal(c.now.Truncate(time.Minute)) {
		t.Errorf("the use is kept until it is written: %v, %v", s.keys[k.ID].LastUsed, err)
	}
	if len(d.Applications()) != 1 {
		t.Errorf("%d applications", len(d.Applications()))
	}
}

func second[T any](_ T, err error) error { return err }

func TestWhatCannotBeTaken(t *testing.T) {
	t.Parallel()
	d, c := open(t, newShelf())
	app := shop(t, d)
	verify := []application.Scope{application.Verify}
	for field, n := range map[string]application.NewKey{
		"name":        {App: app.ID, Name: " ", Mode: application.Live, Scopes: verify},
		"mode":        {App: app.ID, Name: "k", Mode: "prod", Scopes: verify},
		"scopes":      {App: app.ID, Name: "k", Mode: application.Live},
		"application": {Name: "k", Mode: application.Live, Scopes: verify},
		"expires_at":  {App: app.ID, Name: "k", Mode: application.Live, Scopes: verify, Expires: c.now},
	} {
		var e *application.FieldError
		if _, _, err := d.CreateKey(t.Context(), n); !errors.As(err, &e) || e.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	admin := application.NewKey{
		App:    app.ID,
		Name:   "k",
		Mode:   application.Live,
		Scopes: []application.Scope{application.Admin},
	}
	if _, _, err := d.CreateKey(t.Context(), admin); err == nil {
		t.Error("an operator's key belongs to an application")
	}
	if _, _, err := d.CreateKey(t.Context(),
		application.NewKey{App: id.ID{1}, Name: "k", Mode: application.Live, Scopes: verify}); !errors.Is(err,
		application.ErrNotFound) {
		t.Errorf("a key of no application: %v", err)
	}
	for field, change := range map[string]func(*application.Application){
		"name":                   func(a *application.Application) { a.Name = strings.Repeat("n", 65) },
		"brand":                  func(a *application.Application) { a.Brand = "a\nb" },
		"policy.code_length":     func(a *application.Application) { a.Policy.CodeLength = 5 },
		"policy.expires_in":      func(a *application.Application) { a.Policy.ExpiresIn = 601 },
		"policy.max_attempts":    func(a *application.Application) { a.Policy.MaxAttempts = 11 },
		"policy.max_sends":       func(a *application.Application) { a.Policy.MaxSends = -1 },
		"policy.starts_per_hour": func(a *application.Application) { a.Policy.StartsPerHour = -1 },
		"policy.code_alphabet":   func(a *application.Application) { a.Policy.Alphabet = "emoji" },
		"policy.channels":        func(a *application.Application) { a.Policy.Channels = []channel.Kind{"pigeon"} },
		"policy.origins":         func(a *application.Application) { a.Policy.Origins = []string{"https://example.com/x"} },
		"policy.templates": func(a *application.Application) {
			a.Policy.Templates = map[string]map[string]string{"login": {"en": "no code"}}
		},
	} {
		a := app
		change(&a)
		var e *application.FieldError
		if _, err := d.Update(t.Context(), a); !errors.As(err, &e) || e.Field != field || e.Code == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	if kept, err := d.Application(app.ID); err != nil || kept.Brand != "Shop" {
		t.Errorf("what was refused has counted: %+v, %v", kept, err)
	}
}
