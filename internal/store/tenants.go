package store

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

const (
	sqlApplications   = `SELECT data FROM applications ORDER BY id`
	sqlPutApplication = `INSERT INTO applications (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = excluded.data`
	sqlKeys           = `SELECT data, used FROM api_keys ORDER BY id`
	sqlPutKey         = `INSERT INTO api_keys (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = excluded.data`
	sqlTouchKey       = `UPDATE api_keys SET used = $1 WHERE id = $2 AND used < $1`
	sqlVersion        = `SELECT n FROM versions WHERE name = 'tenants'`
	sqlNewVersion     = `UPDATE versions SET n = n + 1 WHERE name = 'tenants'`
)

// Applications implements application.Store.
func (db *DB) Applications(ctx context.Context) (out []application.Application, err error) {
	err = db.read(ctx, func(c conn) error {
		out = nil
		return c.query(sqlApplications, func(r row) error {
			var a application.Application
			err := json.Unmarshal(r.Raw(0), &a)
			out = append(out, a)
			return err
		})
	})
	return out, err
}

// Keys implements application.Store.
func (db *DB) Keys(ctx context.Context) (out []application.Key, err error) {
	err = db.read(ctx, func(c conn) error {
		out = nil
		return c.query(sqlKeys, func(r row) error {
			var k application.Key
			err := json.Unmarshal(r.Raw(0), &k)
			if used := r.Int(1); used > 0 {
				k.LastUsed = milli(used)
			}
			out = append(out, k)
			return err
		})
	})
	return out, err
}

// PutApplication implements application.Store.
func (db *DB) PutApplication(ctx context.Context, a application.Application) error {
	return db.putTenant(ctx, sqlPutApplication, a.ID, a)
}

// PutKey implements application.Store.
func (db *DB) PutKey(ctx context.Context, k application.Key) error {
	return db.putTenant(ctx, sqlPutKey, k.ID, k)
}

func (db *DB) putTenant(ctx context.Context, sql string, key id.ID, row any) error {
	data, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return db.newTenants(ctx, sql, key[:], string(data))
}

// newTenants runs a statement that changes tenants, and tells the other nodes.
func (db *DB) newTenants(ctx context.Context, sql string, args ...any) error {
	return db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		t.put(func(c conn) error {
			if _, err := c.exec(sql, args...); err != nil {
				return err
			}
			if _, err := c.exec(sqlNewVersion); err != nil || db.d.notify == "" {
				return err
			}
			_, err := c.exec(db.d.notify)
			return err
		})
		return nil
	})
}

// TouchKeys implements application.Store.
func (db *DB) TouchKeys(ctx context.Context, used map[id.ID]time.Time) error {
	return db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		for k, at := range used {
			t.put(func(c conn) error { _, err := c.exec(sqlTouchKey, at.UnixMilli(), k[:]); return err })
		}
		return nil
	})
}

// Version implements application.Store.
func (db *DB) Version(ctx context.Context) (n int64, err error) {
	err = db.read(ctx, func(c conn) error {
		return c.query(sqlVersion, func(r row) error { n = r.Int(0); return nil })
	})
	return n, err
}
