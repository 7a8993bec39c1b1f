package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/dialproof/dialproof/internal/store/tables"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of a schema; steps are numbered from 1 by their order.
type migration struct{ name, text string }

// migrations returns the steps.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	out := make([]migration, len(names))
	for i, name := range names {
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		out[i] = migration{path.Base(name), string(text)}
	}
	return out, nil
}

// newer is the answer to a schema that a later version has made.
func newer(version, known int) error {
	return fmt.Errorf("the database was changed by a newer Dialproof (schema %d, this one knows %d): run that one", version, known)
}

// migrationLock is the key of the advisory lock under which one node migrates and the others wait.
const migrationLock = 7033_1968

const (
	sqlHasVersions = `SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = 'dialproof_schema' AND n.nspname = current_schema()`
	sqlMakeVersion = `CREATE TABLE IF NOT EXISTS dialproof_schema (version bigint PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now())`
	sqlSchema      = `SELECT coalesce(max(version), 0) FROM dialproof_schema`
	sqlSetSchema   = `INSERT INTO dialproof_schema (version, name) VALUES ($1, $2)`
)

// migrate brings the schema up to date. When it is, nothing is locked or written, so that nodes need no right to change it.
func (e *Engine) migrate(ctx context.Context) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	return e.migrateTo(ctx, all)
}

func (e *Engine) migrateTo(ctx context.Context, all []migration) error {
	version, err := e.schema(ctx, pgConn{ctx, e.pool})
	switch {
	case err != nil:
		return err
	case version > len(all):
		return newer(version, len(all))
	}
	for version < len(all) {
		if version, err = e.step(ctx, all); err != nil {
			return fmt.Errorf("migration %s: %w", all[min(version, len(all)-1)].name, err)
		}
	}
	return nil
}

// schema answers which step the schema has reached.
func (e *Engine) schema(_ context.Context, c tables.Conn) (version int, err error) {
	var there bool
	err = c.Query(sqlHasVersions, func(r tables.Row) error { there = r.Int(0) > 0; return nil })
	if err != nil || !there {
		return 0, err
	}
	err = c.Query(sqlSchema, func(r tables.Row) error { version = int(r.Int(0)); return nil })
	return version, err
}

// step takes the next step that is due, under the lock, and answers where the schema is then.
func (e *Engine) step(ctx context.Context, all []migration) (version int, err error) {
	err = pgx.BeginFunc(ctx, e.pool, func(tx pgx.Tx) error {
		c := pgConn{ctx, tx}
		// A migration of large tables, or the wait for another node's, takes its time.
		for _, sql := range []string{`SET LOCAL statement_timeout = 0`, `SET LOCAL lock_timeout = 0`, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, migrationLock), sqlMakeVersion} {
			if _, err := c.Exec(sql); err != nil {
				return err
			}
		}
		if version, err = e.schema(ctx, c); err != nil || version >= len(all) {
			return err
		}
		// The simple protocol takes many statements at once.
		if _, err := tx.Conn().PgConn().Exec(ctx, all[version].text).ReadAll(); err != nil {
			return err
		}
		if _, err := c.Exec(sqlSetSchema, int64(version+1), all[version].name); err != nil {
			return err
		}
		version++
		return nil
	})
	return version, err
}
