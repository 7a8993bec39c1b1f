package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/tables"
)

// How long a batch is tried again before its work is refused.
const (
	// raceTries bounds the tries of work that others were in the way of.
	raceTries = 12
	// downTime bounds the wait for a server that does not answer: a reconnection fits in, an outage does not.
	downTime = time.Second
)

// Commit implements store.Engine.
func (e *Engine) Commit(ctx context.Context, writer int, b *store.Batch) error {
	b.SharesRows()
	begin := time.Now()
	for try := 1; ; try++ {
		kind, err := e.attempt(ctx, e.lane[writer], b)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errAmbiguous), errors.Is(err, errUnreplicated):
			return e.leave(ctx, e.lane[writer], err)
		}
		switch {
		case kind == faultWork && b.Len() > 1:
			return e.apart(ctx, writer, b)
		case kind == faultWork, kind == faultRace && try >= raceTries, kind == faultDown && time.Since(begin) > downTime:
			return err
		}
		e.o.Retried()
		//nolint:gosec // it only spreads the tries
		wait := time.Duration(rand.Int64N(int64(2*time.Millisecond) << min(try, 5)))
		if kind == faultDown {
			e.pool.Reset() // what lies in it is likely broken as well
			wait += 20 * time.Millisecond
		}
		time.Sleep(wait)
	}
}

// apart runs the pieces of a batch one by one, so that one that the database refuses does not take the others along.
func (e *Engine) apart(ctx context.Context, writer int, b *store.Batch) error {
	for i := range b.Len() {
		one := b.Only(i)
		if err := e.Commit(ctx, writer, one); err != nil {
			one.Refuse(store.Unavailable("the store cannot be written", err))
		}
	}
	return nil
}

// pgTx is one transaction under way.
type pgTx struct {
	tables.Tables
	e   *Engine
	b   *store.Batch
	ctx context.Context // it is the transaction's own
	c   *pgx.Conn
	l   *pgLane

	server *pgServer // that the connection leads to; nil: it does not say
	token  id.ID     // of this transaction
	held   bool      // the lane's row was there, with the token of its last commit
	lsn    uint64    // where the log was when this began
	// wrote is set when statements have changed something that is in no batch.
	wrote bool
}

// attempt runs the batch once. When it fails, nothing of it has happened, unless the error is errAmbiguous or
// errUnreplicated.
func (e *Engine) attempt(ctx context.Context, l *pgLane, b *store.Batch) (fault, error) {
	// The server's own time-outs come first; this one is for a server that does not answer at all.
	ctx, cancel := context.WithTimeout(ctx, e.o.Timeout+time.Second)
	defer cancel()
	held, err := e.pool.Acquire(ctx)
	if err != nil {
		return faultDown, err
	}
	defer held.Release()
	b.Reset()
	t := &pgTx{e: e, b: b, ctx: ctx, c: held.Conn(), l: l, server: serverOf(held.Conn().PgConn()), token: random()}
	t.Tables = tables.Tables{Conn: noting{pgConn{ctx, t.c}, &t.wrote}, Dialect: e.Dialect}
	if err := t.run(); err != nil {
		return t.undo(err)
	}
	return t.finish()
}

// run reads what the pieces of work need and runs them.
func (t *pgTx) run() error {
	if err := t.prefetch(); err != nil {
		return err
	}
	return t.b.Run(t)
}

// finish writes what the batch has changed and commits, in one round trip.
func (t *pgTx) finish() (fault, error) {
	steps := t.writes()
	if len(steps) == 0 && !t.wrote {
		_, err := t.undo(nil)
		return faultDown, err
	}
	committed := false
	steps = append(steps,
		pgStep{sql: "COMMIT", done: func(tag pgconn.CommandTag) { committed = tag.String() == "COMMIT" }})
	delete(t.c.PgConn().CustomData(), unreplicated)
	err := t.pipeline(steps)
	if t.c.PgConn().CustomData()[unreplicated] != nil {
		return faultDown, errUnreplicated
	}
	if committed {
		return faultDown, t.happened()
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.SeverityUnlocalized == "ERROR" {
		return t.undo(err) // the server refused a statement, and so never came to COMMIT
	}
	return t.settle(err)
}

// undo ends the transaction, so that its connection can be used again, and judges the error.
func (t *pgTx) undo(err error) (fault, error) {
	if !t.c.IsClosed() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), time.Second)
		defer cancel()
		if _, rolled := t.c.Exec(ctx, "ROLLBACK"); rolled != nil {
			_ = t.c.Close(ctx)
		}
	}
	if _, ok := errors.AsType[*pgconn.PgError](err); !ok && err != nil && !errors.Is(err, errNewLane) && !t.c.IsClosed() &&
		t.ctx.Err() == nil {
		return faultWork, err // our own: a row that cannot be read, for example
	}
	return faultOf(err), err
}

// pgStep is one statement of a pipeline.
type pgStep struct {
	sql  string
	args []any
	each func(tables.Row) error
	done func(pgconn.CommandTag)
}

// pipeline sends all statements at once and reads their answers: one round trip.
func (t *pgTx) pipeline(steps []pgStep) error {
	b := &pgx.Batch{}
	for _, s := range steps {
		b.Queue(s.sql, s.args...)
	}
	answers := t.c.SendBatch(t.ctx, b)
	for _, s := range steps {
		rows, err := answers.Query()
		if err != nil {
			_ = answers.Close()
			return err
		}
		if s.each == nil {
			s.each = func(tables.Row) error { return nil }
		}
		if err := pgRows(rows, s.each); err != nil {
			_ = answers.Close()
			return err
		}
		if s.done != nil {
			s.done(rows.CommandTag())
		}
	}
	return answers.Close()
}
