package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*/*.sql
var migrationFiles embed.FS

// migration is one step of a schema; steps are numbered from 1 by their order.
type migration struct{ name, text string }

// migrations answers the steps of a dialect.
func migrations(dialect string) ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/"+dialect+"/*.sql")
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

// older is the answer to a schema that only a command may change that was asked to.
func older(version, known int) error {
	if version == 0 {
		return errors.New("the database has no schema yet: run `dialproof migrate`, or start `dialproof serve`")
	}
	return fmt.Errorf("the database has schema %d and this Dialproof wants %d: run `dialproof migrate`, or upgrade the servers; nothing was changed", version, known)
}

// migrate brings the schema up to date, if it may. When it is, nothing is locked or written, so that nodes need no right to
// change it.
func (e *postgres) migrate(ctx context.Context) error {
	all, err := migrations("postgres")
	if err != nil {
		return err
	}
	version, err := e.schema(ctx, pgConn{ctx, e.pool})
	switch {
	case err != nil:
		return err
	case version > len(all):
		return newer(version, len(all))
	case version == len(all) && !e.o.Migrate:
		return nil
	case e.o.Migrate, e.o.create && version == 0:
		return e.migrateTo(ctx, all)
	}
	return older(version, len(all))
}

func (e *postgres) migrateTo(ctx context.Context, all []migration) error {
	version, err := e.schema(ctx, pgConn{ctx, e.pool})
	switch {
	case err != nil:
		return err
	case version > len(all):
		return newer(version, len(all))
	}
	e.o.Log.Info("the schema of the database", "version", version, "wanted", len(all))
	for version < len(all) {
		begin, from := time.Now(), version
		if version, err = e.step(ctx, all); err != nil {
			return fmt.Errorf("migration %s: %w", all[min(version, len(all)-1)].name, err)
		}
		e.o.Log.Info("the schema of the database has changed", "from", from, "to", version, "took", time.Since(begin).Round(time.Millisecond).String())
	}
	return nil
}

// schema answers which step the schema has reached.
func (e *postgres) schema(_ context.Context, c conn) (version int, err error) {
	var there bool
	err = c.query(sqlHasVersions, func(r row) error { there = r.Int(0) > 0; return nil })
	if err != nil || !there {
		return 0, err
	}
	err = c.query(sqlSchema, func(r row) error { version = int(r.Int(0)); return nil })
	return version, err
}

// step takes the next step that is due, under the lock, and answers where the schema is then.
func (e *postgres) step(ctx context.Context, all []migration) (version int, err error) {
	err = pgx.BeginFunc(ctx, e.pool, func(tx pgx.Tx) error {
		c := pgConn{ctx, tx}
		// A migration of large tables, or the wait for another node's, takes its time.
		for _, sql := range []string{`SET LOCAL statement_timeout = 0`, `SET LOCAL lock_timeout = 0`, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, migrationLock), sqlMakeVersion} {
			if _, err := c.exec(sql); err != nil {
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
		if _, err := c.exec(sqlSetSchema, int64(version+1), all[version].name); err != nil {
			return err
		}
		version++
		return nil
	})
	return version, err
}
