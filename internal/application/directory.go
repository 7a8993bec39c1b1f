package application

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dialproof/dialproof/internal/id"
)

// secretLen is the number of random characters of a key: 32 of base 32 are 160 bits.
const secretLen = 32

// prefixLen is how many of them stay visible.
const prefixLen = 4

// Caller is who makes a request: a key and, unless it is the operator's, its application; an operator's is the zero
// application. Both belong to everybody who calls with the key: nobody changes them.
type Caller struct {
	Key *Key
	App *Application
}

// May reports whether the caller's key has the scope. Admin has them all.
func (c Caller) May(s Scope) bool {
	return slices.Contains(c.Key.Scopes, s) || slices.Contains(c.Key.Scopes, Admin)
}

// Directory answers who is calling, from memory. Changes made through it count at once on this node and,
// by Refresh, on the others.
type Directory struct {
	store Store
	ids   *id.Source
	now   func() time.Time

	write    sync.Mutex // one change at a time
	snapshot atomic.Pointer[snapshot]

	usedMu sync.Mutex
	used   map[id.ID]time.Time
}

// snapshot is an immutable picture of all tenants.
type snapshot struct {
	version int64
	apps    map[id.ID]*Application
	keys    map[id.ID]*Key
	byHash  map[[32]byte]Caller
}

// Open loads the directory.
func Open(ctx context.Context, store Store, ids *id.Source, now func() time.Time) (*Directory, error) {
	d := &Directory{store: store, ids: ids, now: now, used: map[id.ID]time.Time{}}
	d.snapshot.Store(&snapshot{version: -1})
	return d, d.Refresh(ctx)
}

// Refresh reloads what other nodes changed. It costs one small read when nothing did.
func (d *Directory) Refresh(ctx context.Context) error {
	d.write.Lock()
	defer d.write.Unlock()
	return d.refresh(ctx)
}

func (d *Directory) refresh(ctx context.Context) error {
	version, err := d.store.Version(ctx)
	if err != nil || version == d.snapshot.Load().version {
		return err
	}
	apps, err := d.store.Applications(ctx)
	if err != nil {
		return err
	}
	keys, err := d.store.Keys(ctx)
	if err != nil {
		return err
	}
	s := &snapshot{version: version, apps: map[id.ID]*Application{}, keys: map[id.ID]*Key{}, byHash: map[[32]byte]Caller{}}
	for i := range apps {
		s.apps[apps[i].ID] = &apps[i]
	}
	for i := range keys {
		k := &keys[i]
		s.keys[k.ID] = k
		s.byHash[k.Hash] = s.caller(k)
	}
	d.snapshot.Store(s)
	return nil
}

// caller returns who acts with a key.
func (s *snapshot) caller(k *Key) Caller {
	app := s.apps[k.App]
	if app == nil {
		app = &Application{}
	}
	return Caller{Key: k, App: app}
}

// maxToken is how long the secret of a key is, at most, in bytes. A longer token is none of ours.
const maxToken = 64

// Authenticate returns who holds the secret. The look-up is by hash, so its time says nothing of the secret.
func (d *Directory) Authenticate(token string) (Caller, error) {
	if len(token) > maxToken {
		return Caller{}, ErrKey
	}
	var secret [maxToken]byte
	c, ok := d.snapshot.Load().byHash[sha256.Sum256(append(secret[:0], token...))]
	if !ok || !c.Key.Revoked.IsZero() {
		return Caller{}, ErrKey
	}
	now := d.now()
	if !c.Key.Expires.IsZero() && !now.Before(c.Key.Expires) {
		return Caller{}, ErrKeyExpired
	}
	d.touch(c.Key, now)
	return c, nil
}

// touch remembers a use, once a minute.
func (d *Directory) touch(k *Key, now time.Time) {
	minute := now.Truncate(time.Minute)
	d.usedMu.Lock()
	defer d.usedMu.Unlock()
	if d.used[k.ID].Before(minute) && k.LastUsed.Before(minute) {
		d.used[k.ID] = minute
	}
}

// Flush writes the last uses.
func (d *Directory) Flush(ctx context.Context) error {
	d.usedMu.Lock()
	used := maps.Clone(d.used)
	d.usedMu.Unlock()
	if len(used) == 0 {
		return nil
	}
	if err := d.store.TouchKeys(ctx, used); err != nil {
		return err
	}
	d.usedMu.Lock()
	defer d.usedMu.Unlock()
	for k, t := range used {
		if d.used[k].Equal(t) {
			delete(d.used, k)
		}
	}
	return nil
}

// Applications returns all tenants, oldest first.
func (d *Directory) Applications() []Application {
	var apps []Application
	for _, a := range d.snapshot.Load().apps {
		apps = append(apps, *a)
	}
	slices.SortFunc(apps, func(a, b Application) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return apps
}

// Application returns one tenant.
func (d *Directory) Application(app id.ID) (Application, error) {
	a, ok := d.snapshot.Load().apps[app]
	if !ok {
		return Application{}, ErrNotFound
	}
	return *a, nil
}

// ByName returns the tenant of that name.
func (d *Directory) ByName(name string) (Application, error) {
	for _, a := range d.Applications() {
		if a.Name == name {
			return a, nil
		}
	}
	return Application{}, ErrNotFound
}

// Create makes a tenant.
func (d *Directory) Create(ctx context.Context, a Application) (Application, error) {
	a.ID, a.Created = d.ids.New(d.now()), d.now().UTC()
	return d.Update(ctx, a)
}

// Update changes a tenant, after Validate.
func (d *Directory) Update(ctx context.Context, a Application) (Application, error) {
	if err := a.Validate(); err != nil {
		return Application{}, err
	}
	a.Updated = d.now().UTC()
	d.write.Lock()
	defer d.write.Unlock()
	if err := d.store.PutApplication(ctx, a); err != nil {
		return Application{}, err
	}
	return a, d.refresh(ctx)
}

// NewKey says what key to make.
type NewKey struct {
	App     id.ID // zero: an operator's key
	Name    string
	Mode    Mode
	Scopes  []Scope
	Expires time.Time
}

// CreateKey makes a key and answers its secret, which is shown this once.
func (d *Directory) CreateKey(ctx context.Context, n NewKey) (Key, string, error) {
	if err := n.validate(d.now()); err != nil {
		return Key{}, "", err
	}
	if !n.App.IsZero() {
		if _, err := d.Application(n.App); err != nil {
			return Key{}, "", err
		}
	}
	now := d.now().UTC()
	token := fmt.Sprintf("dp_%s_%s", n.Mode, strings.ToLower(randomText()))
	k := Key{
		ID: d.ids.New(now), App: n.App, Name: n.Name, Mode: n.Mode, Scopes: n.Scopes, Created: now, Expires: n.Expires,
		Prefix: token[:len(token)-secretLen+prefixLen], Hash: sha256.Sum256([]byte(token)),
	}
	d.write.Lock()
	defer d.write.Unlock()
	if err := d.store.PutKey(ctx, k); err != nil {
		return Key{}, "", err
	}
	return k, token, d.refresh(ctx)
}

// randomText returns 160 random bits as 32 characters.
func randomText() string { return (rand.Text() + rand.Text())[:secretLen] }

// Keys returns the keys of an application, or all for the zero id, oldest first.
func (d *Directory) Keys(app id.ID) []Key {
	var out []Key
	for _, k := range d.snapshot.Load().keys {
		if app.IsZero() || k.App == app {
			out = append(out, *k)
		}
	}
	slices.SortFunc(out, func(a, b Key) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return out
}

// Revoke kills a key. It is dead on this node when Revoke returns, and stays so.
func (d *Directory) Revoke(ctx context.Context, key id.ID) (Key, error) {
	d.write.Lock()
	defer d.write.Unlock()
	found, ok := d.snapshot.Load().keys[key]
	if !ok {
		return Key{}, ErrNotFound
	}
	k := *found
	if k.Revoked.IsZero() {
		k.Revoked = d.now().UTC()
		if err := d.store.PutKey(ctx, k); err != nil {
			return Key{}, err
		}
	}
	return k, d.refresh(ctx)
}
