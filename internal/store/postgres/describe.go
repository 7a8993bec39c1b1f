package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/tables"
)

var (
	_ store.Engine    = (*Engine)(nil)
	_ store.Claimer   = (*Engine)(nil)
	_ store.Changer   = (*Engine)(nil)
	_ store.Describer = (*Engine)(nil)
)

// Describe implements store.Describer.
func (e *Engine) Describe(ctx context.Context) (store.Facts, error) {
	set := map[string]string{}
	var took time.Duration
	err := e.Read(ctx, func(c tables.Conn) error {
		begin := time.Now()
		if err := c.Query(`SELECT 1`, func(tables.Row) error { return nil }); err != nil {
			return err
		}
		took = time.Since(begin)
		const sql = `SELECT name, setting FROM pg_catalog.pg_settings ` +
			`WHERE name IN ('server_version', 'synchronous_commit', 'fsync', 'full_page_writes', ` +
			`'synchronous_standby_names', 'max_connections')`
		return c.Query(sql, func(r tables.Row) error { set[string(r.Raw(0))] = string(r.Raw(1)); return nil })
	})
	if err != nil {
		return store.Facts{}, err
	}
	version, err := e.schema(ctx, pgConn{ctx, e.pool})
	if err != nil {
		return store.Facts{}, err
	}
	off := time.Duration(e.clock.offset.Load()).Round(time.Millisecond)
	f := store.Facts{
		Engine: "PostgreSQL " + set["server_version"],
		Schema: version,
		Summary: fmt.Sprintf("PostgreSQL %s, a round trip takes %s, this machine's clock is %s behind the database's",
			set["server_version"], took.Round(10*time.Microsecond), off),
	}
	for _, name := range []string{"synchronous_commit", "fsync", "full_page_writes"} {
		if set[name] == "off" {
			f.Wrong = append(f.Wrong, name+" is off: what was acknowledged can be lost when the server or its machine dies")
		}
	}
	if set["synchronous_standby_names"] == "" {
		f.Notes = append(f.Notes,
			"synchronous_standby_names is empty: a failover to a replica can lose the newest commits (docs/operations.md)")
	}
	if off.Abs() > time.Second {
		f.Notes = append(f.Notes,
			"the clocks differ by more than a second: nodes go by the database's, but check this machine's NTP")
	}
	f.Notes = append(f.Notes,
		fmt.Sprintf("this node takes up to %d of the server's %s connections", e.pool.Config().MaxConns,
			set["max_connections"]))
	return f, nil
}
