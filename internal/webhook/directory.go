package webhook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/secret"
)

// Options is what a Directory needs.
type Options struct {
	Store Store
	Ring  *keyring.Ring
	IDs   *id.Source
	Now   func() time.Time
	// AllowPrivate takes addresses that are not public, and plain http to them: development, or receivers in one's own
	// network.
	AllowPrivate bool
}

// Directory answers who wants to know, from memory, and changes endpoints. Changes made through it count at once on
// this node and, by Refresh, on the others.
type Directory struct {
	Options
	write    sync.Mutex // one change at a time
	snapshot atomic.Pointer[snapshot]
}

// audience names those who hear the same: an application's endpoints of one mode.
type audience struct {
	app  id.ID
	test bool
}

// snapshot is an immutable picture of all endpoints.
type snapshot struct {
	version int64
	all     map[id.ID]*Endpoint
	// enabled are those that get events.
	enabled map[audience][]*Endpoint
}

// Open loads the directory.
func Open(ctx context.Context, o Options) (*Directory, error) {
	d := &Directory{Options: o}
	d.snapshot.Store(&snapshot{version: -1})
	return d, d.Refresh(ctx)
}

// Refresh reloads what others changed. It costs one small read when nothing did.
func (d *Directory) Refresh(ctx context.Context) error {
	d.write.Lock()
	defer d.write.Unlock()
	return d.refresh(ctx)
}

func (d *Directory) refresh(ctx context.Context) error {
	version, err := d.Store.Version(ctx)
	if err != nil || version == d.snapshot.Load().version {
		return err
	}
	all, err := d.Store.Webhooks(ctx)
	if err != nil {
		return err
	}
	s := &snapshot{version: version, all: map[id.ID]*Endpoint{}, enabled: map[audience][]*Endpoint{}}
	for i := range all {
		e := &all[i]
		s.all[e.ID] = e
		if e.Enabled() {
			a := audience{e.App, e.Test}
			s.enabled[a] = append(s.enabled[a], e)
		}
	}
	d.snapshot.Store(s)
	return nil
}

// Audience returns the endpoints that get events of an application in a mode; nil for none. They are shared: change
// nothing.
func (d *Directory) Audience(app id.ID, test bool) []*Endpoint {
	s := d.snapshot.Load()
	if len(s.enabled) == 0 {
		return nil
	}
	return s.enabled[audience{app, test}]
}

// Endpoint returns one endpoint.
func (d *Directory) Endpoint(endpoint id.ID) (Endpoint, error) {
	e, ok := d.snapshot.Load().all[endpoint]
	if !ok {
		return Endpoint{}, ErrNotFound
	}
	return *e, nil
}

// Endpoints returns the endpoints of an application, or all for the zero id, oldest first.
func (d *Directory) Endpoints(app id.ID) []Endpoint {
	var out []Endpoint
	for e := range maps.Values(d.snapshot.Load().all) {
		if app.IsZero() || e.App == app {
			out = append(out, *e)
		}
	}
	slices.SortFunc(out, func(a, b Endpoint) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return out
}

// Create makes an endpoint from App, Test, URL, Description and Kinds, and answers its secret, which is shown this
// once.
func (d *Directory) Create(ctx context.Context, e Endpoint) (Endpoint, secret.Text, error) {
	if err := d.validate(&e); err != nil {
		return Endpoint{}, secret.Text{}, err
	}
	now := d.Now().UTC()
	s := newSecret()
	e.ID, e.Created = d.IDs.New(now), now
	e.Secrets = []Secret{seal(d.Ring, &e, s)}
	d.write.Lock()
	defer d.write.Unlock()
	if err := d.refresh(ctx); err != nil {
		return Endpoint{}, secret.Text{}, err
	}
	if len(d.Endpoints(e.App)) >= MaxEndpoints {
		return Endpoint{}, secret.Text{}, ErrTooMany
	}
	if err := d.put(ctx, &e); err != nil {
		return Endpoint{}, secret.Text{}, err
	}
	return e, s, nil
}

// put writes an endpoint under the lock.
func (d *Directory) put(ctx context.Context, e *Endpoint) error {
	e.Updated = d.Now().UTC()
	if err := d.Store.PutWebhook(ctx, *e); err != nil {
		return err
	}
	return d.refresh(ctx)
}

// Update changes an endpoint by set, which sees it as it is now.
func (d *Directory) Update(ctx context.Context, endpoint id.ID, set func(*Endpoint)) (Endpoint, error) {
	return d.change(ctx, endpoint, func(e *Endpoint) (bool, error) {
		set(e)
		return true, d.validate(e)
	})
}

// change writes what set makes of an endpoint, unless it answers false.
func (d *Directory) change(ctx context.Context, endpoint id.ID, set func(*Endpoint) (bool, error)) (Endpoint, error) {
	d.write.Lock()
	defer d.write.Unlock()
	if err := d.refresh(ctx); err != nil {
		return Endpoint{}, err
	}
	e, err := d.Endpoint(endpoint)
	if err != nil {
		return e, err
	}
	e.Secrets = slices.Clone(e.Secrets)
	changed, err := set(&e)
	if err != nil || !changed {
		return e, err
	}
	return e, d.put(ctx, &e)
}

// Enable lets events go to an endpoint again, those that waited too; Disable stops them.
func (e *Endpoint) Enable() { e.Disabled, e.Reason, e.Failing = time.Time{}, "", time.Time{} }

// Disable stops events to an endpoint, and reports whether it was enabled: the first reason stays.
func (e *Endpoint) Disable(why Reason, now time.Time) bool {
	enabled := e.Enabled()
	if enabled {
		e.Disabled, e.Reason = now.UTC(), why
	}
	return enabled
}

// Rotate gives an endpoint a new secret and answers it, this once. The one before signs beside it for Overlap.
func (d *Directory) Rotate(ctx context.Context, endpoint id.ID) (Endpoint, secret.Text, error) {
	s := newSecret()
	e, err := d.change(ctx, endpoint, func(e *Endpoint) (bool, error) {
		now := d.Now().UTC()
		keep := []Secret{seal(d.Ring, e, s)}
		for _, old := range e.Secrets {
			if old.Until.IsZero() {
				old.Until = now.Add(Overlap)
			}
			if now.Before(old.Until) && len(keep) < maxSecrets {
				keep = append(keep, old)
			}
		}
		e.Secrets = keep
		return true, nil
	})
	if err != nil {
		return Endpoint{}, secret.Text{}, err
	}
	return e, s, nil
}

// Delete forgets an endpoint and its events.
func (d *Directory) Delete(ctx context.Context, endpoint id.ID) error {
	d.write.Lock()
	defer d.write.Unlock()
	if err := d.refresh(ctx); err != nil {
		return err
	}
	if _, err := d.Endpoint(endpoint); err != nil {
		return err
	}
	if err := d.Store.DropWebhook(ctx, endpoint); err != nil {
		return err
	}
	return d.refresh(ctx)
}

// validate returns the first field that is out of bounds.
func (d *Directory) validate(e *Endpoint) error {
	if err := checkURL(e.URL, d.AllowPrivate); err != nil {
		return err
	}
	control := func(r rune) bool { return unicode.IsControl(r) }
	if !utf8.ValidString(e.Description) || utf8.RuneCountInString(e.Description) > MaxDescription ||
		slices.ContainsFunc([]rune(e.Description), control) {
		return &FieldError{"description", "invalid_value",
			fmt.Sprintf("must be one line of at most %d characters", MaxDescription)}
	}
	for i, k := range e.Kinds {
		if !slices.Contains(Kinds(), k) {
			return &FieldError{fmt.Sprintf("events.%d", i), "invalid_value", "is not a kind of event"}
		}
		if slices.Contains(e.Kinds[:i], k) {
			return &FieldError{fmt.Sprintf("events.%d", i), "invalid_value", "stands there twice"}
		}
	}
	return nil
}
