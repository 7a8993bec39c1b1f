package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store/tables"
)

// A lane's row holds a random token of its last commit. Each transaction of the lane begins by replacing the token of
// the commit before by its own, so the row tells two things. A transaction whose COMMIT got no answer has happened if,
// and only if, the row has its token. And a server that has lost the lane's last commit is noticed before anything is
// written there.

// takeLane takes the lane's row, if it has the token of the lane's last commit.
func (t *pgTx) takeLane() []pgStep {
	t.held = false
	position := sqlPosition
	if t.server == nil { // it does not say who it is, nor where it stands
		position = "0"
	}
	steps := []pgStep{
		{sql: sqlCountLane + position, args: []any{t.token[:], t.l.token[:]}, each: func(r tables.Row) error {
			t.held, t.lsn = true, uint64(r.Int(0)) // a position is never negative
			return nil
		}}}
	steps[0].args = append([]any{t.l.id[:]}, steps[0].args...)
	if !t.e.o.Pooler || t.server == nil {
		return steps
	}
	return append(steps, pgStep{sql: sqlIdentify, each: func(r tables.Row) error {
		s, err := parseServer([][]byte{r.Raw(0), r.Raw(1), r.Raw(2), r.Raw(3), r.Raw(4)}, t.server.address)
		if err == nil && !s.same(t.server) {
			err = errChanged
		}
		return err
	}})
}

// noLane finds out why the lane's row was not there as this node has left it.
func (t *pgTx) noLane() error {
	var there bool
	err := t.Conn.Query(`SELECT 1 FROM lanes WHERE id = $1`, func(tables.Row) error { there = true; return nil },
		t.l.id[:])
	if err != nil {
		return err
	}
	if there {
		if t.server != nil && t.server.Timeline == t.l.timeline {
			t.e.history.forfeit(t.server)
			return fmt.Errorf("%w: it has lost a commit of this node", ErrBehind)
		}
		t.e.o.Log.Error("a failover has lost what this node had committed: is the replication synchronous?")
	}
	if err := t.e.newLane(t.ctx, t.l); err != nil {
		return err
	}
	return errNewLane
}

// happened notes that the transaction was committed. What a server says that was replaced meanwhile does not count.
func (t *pgTx) happened() error {
	if t.server != nil && t.e.history.passed(t.server) {
		return fmt.Errorf("%w: %w", errAmbiguous, errChanged)
	}
	t.l.token = t.token
	if t.server != nil {
		t.l.timeline = t.server.Timeline
		t.e.history.committed(t.server, t.lsn)
	}
	return nil
}

// leave gives the lane a new row after a commit of which nobody knows what became. After one that did not reach the
// replica, nothing more is read from the server, either, until a commit has reached it.
func (e *Engine) leave(ctx context.Context, l *pgLane, err error) error {
	e.history.doubt()
	l.id = random() // which has no row
	ctx, cancel := context.WithTimeout(ctx, e.o.Timeout)
	defer cancel()
	_ = e.newLane(ctx, l) // else the next transaction finds that it has none
	return err
}

// settle finds out whether a COMMIT happened whose answer was lost.
func (t *pgTx) settle(lost error) (fault, error) {
	closing, done := context.WithTimeout(context.WithoutCancel(t.ctx), time.Second)
	_ = t.c.Close(closing)
	done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), t.e.o.Timeout+idleTime)
	defer cancel()
	for {
		token, server, err := t.ask(ctx)
		switch {
		case err == nil && token == t.token:
			t.server = server
			return faultDown, t.happened()
		case err == nil && token == t.l.token:
			return faultDown, fmt.Errorf("the connection was lost before COMMIT: %w", lost)
		case err == nil, errors.Is(err, pgx.ErrNoRows): // the server knows neither: it is not this lane's
			return faultDown, fmt.Errorf("%w: %w", errAmbiguous, lost)
		}
		select {
		case <-ctx.Done():
			return faultDown, fmt.Errorf("%w: %w", errAmbiguous, lost)
		case <-time.After(50 * time.Millisecond):
			t.e.pool.Reset()
		}
	}
}

// sqlAsk waits until the transaction is over that holds the lane's row, one way or the other. It writes, so that its
// own COMMIT waits for the synchronous replica: what it says then was there before is there as well.
const sqlAsk = `UPDATE lanes SET seen = seen WHERE id = $1 RETURNING token`

// ask returns the token in the lane's row, and the server that says so.
func (t *pgTx) ask(ctx context.Context) (token id.ID, server *pgServer, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.e.o.Timeout)
	defer cancel()
	c, err := t.e.pool.Acquire(ctx)
	if err != nil {
		return token, nil, err
	}
	defer c.Release()
	pc := c.Conn().PgConn()
	delete(pc.CustomData(), unreplicated)
	var raw []byte
	if err := c.QueryRow(ctx, sqlAsk, t.l.id[:]).Scan(&raw); err != nil {
		return token, nil, err
	}
	if pc.CustomData()[unreplicated] != nil {
		t.e.history.doubt()
		return token, nil, errUnreplicated
	}
	copy(token[:], raw)
	return token, serverOf(pc), nil
}

// stillThere returns an error when a connection through a pooler leads to another server than the one in use.
func (e *Engine) stillThere(ctx context.Context, c *pgconn.PgConn) error {
	known := serverOf(c)
	if known == nil {
		return nil
	}
	s, err := identify(ctx, c)
	if err == nil && !s.same(known) {
		e.history.doubt()
		e.pool.Reset()
		err = errChanged
	}
	return err
}
