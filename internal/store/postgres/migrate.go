package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

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
	return fmt.Errorf("%w: it was changed by a newer Dialproof (schema %d, this one knows %d): run that one", ErrSchema,
		version, known)
}

// migrationLock is the key of the advisory lock under which one node migrates and the others wait.
const migrationLock = 7033_1968

const (
	sqlHasVersions = `SELECT count(*) FROM pg_catalog.pg_class c ` +
		`JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ` +
		`WHERE c.relname = 'dialproof_schema' AND n.nspname = current_schema()`
	sqlMakeVersion = `CREATE TABLE IF NOT EXISTS dialproof_schema (version bigint PRIMARY KEY, name text NOT NULL, ` +
		`at timestamptz NOT NULL DEFAULT now())`
	sqlSchema    = `SELECT coalesce(max(version), 0) FROM dialproof_schema`
	sqlSetSchema = `INSERT INTO dialproof_schema (version, name) VALUES ($1, $2)`
)

// ErrSchema is returned for a database of another version.
var ErrSchema = errors.New("the database has the schema of another version")

// older is returned for a schema that only a command may change that was asked to.
func older(version, known int) error {
	if version == 0 {
		return fmt.Errorf("%w: it has none yet: run `dialproof migrate`, or start `dialproof serve`", ErrSchema)
	}
	return fmt.Errorf(
		"%w: it has schema %d and this Dialproof wants %d: run `dialproof migrate`, or upgrade the servers; nothing was "+
			"changed", ErrSchema, version, known)
}

// migrate brings the schema up to date, if it may. When it is, nothing is locked or written, so that nodes need no
// right to change it.
func (e *Engine) migrate(ctx context.Context) error {
	all, err := migrations()
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
	case e.o.Migrate, e.o.Create && version == 0:
		return e.migrateTo(ctx, all)
	}
	return older(version, len(all))
}

func (e *Engine) migrateTo(ctx context.Context, all []migration) error {
	version, err := e.schema(ctx, pgConn{ctx, e.pool})
	switch {
	case err != nil:
		return err
	case version > len(all):
		return newer(version, len(all))
	}
	begin, from := time.Now(), version
	for version < len(all) {
		if version, err = e.step(ctx, all); err != nil {
			return fmt.Errorf("migration %s: %w", all[min(version, len(all)-1)].name, err)
		}
	}
	if version > from {
		e.o.Log.Info("store schema migrated", "from", from, "to", version,
			"took", time.Since(begin).Round(time.Millisecond).String())
	}
	return nil
}

// schema returns which step the schema has reached.
func (e *Engine) schema(_ context.Context, c tables.Conn) (version int, err error) {
	var there bool
	err = c.Query(sqlHasVersions, func(r tables.Row) error { there = r.Int(0) > 0; return nil })
	if err != nil || !there {
		return 0, err
	}
	err = c.Query(sqlSchema, func(r tables.Row) error { version = int(r.Int(0)); return nil })
	return version, err
}

// concurrently begins a migration whose statements run one by one, outside of a transaction, while nodes work. Such a
// step can be run again after it was killed at any statement.
const concurrently = "-- concurrently\n"

// lockWait is how long a node waits between two looks at the lock of another one that migrates. It holds no transaction
// meanwhile, for which an index that is built concurrently would wait.
const lockWait = 200 * time.Millisecond

// step takes the next step that is due, under the lock, and returns where the schema is then.
func (e *Engine) step(ctx context.Context, all []migration) (version int, err error) {
	held, err := e.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer held.Release()
	c := pgConn{ctx, held.Conn()}
	if e.o.Pooler { // a lock of a session may be another's behind a pooler
		return e.stepIn(ctx, held.Conn(), all, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, migrationLock))
	}
	if err := lockSession(ctx, c); err != nil {
		return 0, err
	}
	defer func() {
		_, failed := c.Exec(fmt.Sprintf(`SELECT pg_advisory_unlock(%d)`, migrationLock))
		err = errors.Join(err, failed)
	}()
	if version, err = e.schema(ctx, c); err != nil || version >= len(all) ||
		!strings.HasPrefix(all[version].text, concurrently) {
		if err == nil && version < len(all) {
			version, err = e.stepIn(ctx, held.Conn(), all, "")
		}
		return version, err
	}
	return e.stepBeside(ctx, held.Conn(), all, version)
}

// lockSession waits for the lock of migrations.
func lockSession(ctx context.Context, c pgConn) error {
	for {
		mine := int64(0)
		err := c.Query(fmt.Sprintf(`SELECT CASE WHEN pg_try_advisory_lock(%d) THEN 1 ELSE 0 END`, migrationLock),
			func(r tables.Row) error { mine = r.Int(0); return nil })
		if err != nil || mine == 1 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockWait):
		}
	}
}

// stepIn takes a step in one transaction.
func (e *Engine) stepIn(ctx context.Context, conn *pgx.Conn, all []migration, lock string) (version int, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		c := pgConn{ctx, tx}
		// A migration of large tables takes its time.
		for _, sql := range []string{`SET LOCAL statement_timeout = 0`, `SET LOCAL lock_timeout = 0`,
			`SET LOCAL idle_in_transaction_session_timeout = 0`, lock, sqlMakeVersion} {
			if sql == "" {
				continue
			}
			if _, err := c.Exec(sql); err != nil {
				return err
			}
		}
		if version, err = e.schema(ctx, c); err != nil || version >= len(all) {
			return err
		}
		// The simple protocol takes many statements at once.
		if _, err := tx.Conn().PgConn().Exec(ctx,
			strings.ReplaceAll(all[version].text, "CONCURRENTLY", "")).ReadAll(); err != nil {
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

// stepBeside takes a step statement by statement, while nodes work.
func (e *Engine) stepBeside(ctx context.Context, conn *pgx.Conn, all []migration, version int) (int, error) {
	c := pgConn{ctx, conn}
	statements := []string{`SET statement_timeout = 0`, `SET lock_timeout = 0`}
	for sql := range strings.SplitSeq(all[version].text, ";") {
		if sql = strings.TrimSpace(sql); sql != "" {
			statements = append(statements, sql)
		}
	}
	statements = append(statements, `RESET statement_timeout`, `RESET lock_timeout`)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			return version, err
		}
	}
	_, err := c.Exec(sqlSetSchema, int64(version+1), all[version].name)
	if err == nil {
		version++
	}
	return version, err
}
