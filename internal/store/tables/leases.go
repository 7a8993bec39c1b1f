package tables

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Tables changes the tables in a transaction.
type Tables struct {
	Conn    Conn
	Dialect *Dialect
}

const (
	sqlPutApplication = `INSERT INTO applications (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE ` +
		`SET data = excluded.data`
	sqlPutKey     = `INSERT INTO api_keys (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = excluded.data`
	sqlTouchKey   = `UPDATE api_keys SET used = $1 WHERE id = $2 AND used < $1`
	sqlNewVersion = `UPDATE versions SET n = n + 1 WHERE name = 'tenants'`

	sqlTurn = `INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE ` +
		`SET holder = excluded.holder, until = excluded.until WHERE leases.until <= $4`
	sqlSetMark = `INSERT INTO versions (name, n) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET n = excluded.n`
)

// PutApplication implements store.Tables.
func (t Tables) PutApplication(a application.Application) error {
	return t.tenant(sqlPutApplication, a.ID, a)
}

// PutKey implements store.Tables.
func (t Tables) PutKey(k application.Key) error { return t.tenant(sqlPutKey, k.ID, k) }

// PutWebhook implements store.Tables.
func (t Tables) PutWebhook(e webhook.Endpoint) error { return t.tenant(sqlPutWebhook, e.ID, e) }

// DropWebhook implements store.Tables.
func (t Tables) DropWebhook(endpoint id.ID) error { return t.changed(sqlDropWebhook, endpoint[:]) }

func (t Tables) tenant(sql string, key id.ID, row any) error {
	data, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return t.changed(sql, key[:], string(data))
}

// changed runs a statement that changes tenants, and tells the other nodes.
func (t Tables) changed(sql string, args ...any) error {
	if _, err := t.Conn.Exec(sql, args...); err != nil {
		return err
	}
	if _, err := t.Conn.Exec(sqlNewVersion); err != nil || t.Dialect.notify == "" {
		return err
	}
	_, err := t.Conn.Exec(t.Dialect.notify)
	return err
}

// TouchKeys implements store.Tables.
func (t Tables) TouchKeys(used map[id.ID]time.Time) error {
	for k, at := range used {
		if _, err := t.Conn.Exec(sqlTouchKey, at.UnixMilli(), k[:]); err != nil {
			return err
		}
	}
	return nil
}

// Turn implements store.Tables.
func (t Tables) Turn(name string, node id.ID, now time.Time, period time.Duration) (bool, error) {
	n, err := t.Conn.Exec(sqlTurn, name, node[:], now.Add(period).UnixMilli(), now.UnixMilli())
	return n > 0, err
}

// SetMark implements store.Tables.
func (t Tables) SetMark(name string, n int64) error {
	_, err := t.Conn.Exec(sqlSetMark, "mark "+name, n)
	return err
}

// Upkeep implements store.Tables for an engine without other nodes.
func (Tables) Upkeep(time.Time) error { return nil }
