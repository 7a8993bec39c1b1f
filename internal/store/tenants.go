package store

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

var (
	_ verify.Store      = (*DB)(nil)
	_ deliver.Store     = (*DB)(nil)
	_ application.Store = (*DB)(nil)
)

// PutApplication implements application.Store.
func (db *DB) PutApplication(ctx context.Context, a application.Application) error {
	return db.tables(ctx, func(t Tables) error { return t.PutApplication(a) })
}

// PutKey implements application.Store.
func (db *DB) PutKey(ctx context.Context, k application.Key) error {
	return db.tables(ctx, func(t Tables) error { return t.PutKey(k) })
}

// TouchKeys implements application.Store.
func (db *DB) TouchKeys(ctx context.Context, used map[id.ID]time.Time) error {
	return db.tables(ctx, func(t Tables) error { return t.TouchKeys(used) })
}
