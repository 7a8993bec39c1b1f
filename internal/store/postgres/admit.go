package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// lookTime bounds one look at one server.
	lookTime = time.Second
	// keepEvery is how often the position in the log is kept in the file, when it moves.
	keepEvery = 10 * time.Second
	// identity is the note on a connection of the server that it leads to.
	identity = "identity"
)

// guard lets every new connection of the pool be admitted, and none be used that leads to another server than the one
// in use.
func (e *Engine) guard(c *pgx.ConnConfig) {
	asked := c.ValidateConnect
	c.ValidateConnect = func(ctx context.Context, pc *pgconn.PgConn) error {
		if asked != nil {
			if err := asked(ctx, pc); err != nil {
				return err
			}
		}
		return e.admit(ctx, pc)
	}
}

// usable is asked before each use of a connection. It costs no round trip.
func (e *Engine) usable(_ context.Context, c *pgx.Conn) (bool, error) {
	return !e.greets.Load() || e.history.trusts(serverOf(c.PgConn())), nil
}

func serverOf(c *pgconn.PgConn) *pgServer {
	s, _ := c.CustomData()[identity].(*pgServer)
	return s
}

// admit judges a new connection: its server must write, and be no older than the one that this node has written to.
func (e *Engine) admit(ctx context.Context, c *pgconn.PgConn) error {
	s, err := identify(ctx, c)
	switch {
	case errors.Is(err, errUnidentified):
		return e.unidentified(err)
	case err != nil:
		return err
	}
	c.CustomData()[identity] = s
	if s.standby {
		e.history.seen(s)
		return pgconn.ErrReadOnlyConnection
	}
	if e.history.trusts(s) {
		return nil
	}
	select { // one at a time: what the first finds out holds for the others
	case e.gate <- struct{}{}:
		defer func() { <-e.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	e.lookAround(ctx, time.Second)
	if err := e.history.judge(s); err != nil {
		return e.history.refused(s, err)
	}
	if !e.greets.Load() || e.history.trusts(s) {
		return nil
	}
	return e.greet(ctx, c, s)
}

// unidentified takes a server that does not say who it is, unless one has that did.
func (e *Engine) unidentified(err error) error {
	if e.history.remembered().System != "" {
		return fmt.Errorf("%w: %w", ErrBehind, err)
	}
	if !e.history.blind.Swap(true) {
		e.o.Log.Warn("a database server that came back old after a failover will not be noticed", "error", err)
	}
	return nil
}

const (
	sqlTimeline     = `SELECT n FROM versions WHERE name = 'timeline %d'`
	sqlMarkTimeline = `INSERT INTO versions (name, n) VALUES ('timeline %d', %d) ON CONFLICT (name) DO UPDATE ` +
		`SET n = versions.n RETURNING n`
)

// greet makes a server the one to write to. It commits once, which does three things: the server writes; everything
// that it shows has reached the synchronous replica, also what it recovered after a crash; and its timeline has a mark,
// by which its successors are known.
func (e *Engine) greet(ctx context.Context, c *pgconn.PgConn, s *pgServer) error {
	if last := e.history.remembered(); last.Mark != 0 {
		mark, err := oneInt(ctx, c, fmt.Sprintf(sqlTimeline, last.Timeline))
		if err != nil {
			return err
		}
		if err := e.history.marked(s, mark); err != nil {
			return e.history.refused(s, err)
		}
	}
	delete(c.CustomData(), unreplicated)
	//nolint:gosec // it tells two servers apart and is no secret
	mark, err := oneInt(ctx, c, fmt.Sprintf(sqlMarkTimeline, s.Timeline, rand.Int64()|1))
	if err != nil {
		return err
	}
	if c.CustomData()[unreplicated] != nil {
		return errUnreplicated
	}
	e.history.adopt(s, mark)
	return nil
}

// lookout looks at one host of the connection string.
type lookout struct {
	cfg *pgconn.Config
	mu  sync.Mutex
	c   *pgconn.PgConn
}

// lookouts returns one for each host; nil for one host alone, beside which there is nothing to see.
func lookouts(c *pgx.ConnConfig) []*lookout {
	hosts := []*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}
	hosts = append(hosts, c.Fallbacks...)
	byName := map[string]*lookout{}
	var out []*lookout
	for _, h := range hosts {
		name := net.JoinHostPort(h.Host, strconv.Itoa(int(h.Port)))
		if l := byName[name]; l != nil { // once more, without TLS
			l.cfg.Fallbacks = append(l.cfg.Fallbacks, h)
			continue
		}
		l := &lookout{cfg: c.Config.Copy()}
		l.cfg.Host, l.cfg.Port, l.cfg.TLSConfig, l.cfg.Fallbacks = h.Host, h.Port, h.TLSConfig, nil
		l.cfg.ConnectTimeout, l.cfg.ValidateConnect, l.cfg.AfterConnect = lookTime, nil, nil
		byName[name] = l
		out = append(out, l)
	}
	if len(out) < 2 {
		return nil
	}
	return out
}

// look identifies the host's server; nil when it cannot be reached. The connection stays for the next look.
func (l *lookout) look(ctx context.Context) *pgServer {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	for range 2 {
		fresh := l.c == nil || l.c.IsClosed()
		if fresh {
			c, err := pgconn.ConnectConfig(ctx, l.cfg)
			if err != nil {
				return nil
			}
			l.c = c
		}
		s, err := identify(ctx, l.c)
		if err == nil {
			return s
		}
		_ = l.c.Close(ctx)
		l.c = nil
		if fresh {
			break // an old connection may be broken, a new one says how it is
		}
	}
	return nil
}

// close ends the connection.
func (l *lookout) close(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c != nil {
		_ = l.c.Close(ctx)
	}
}

// lookAround looks at all hosts, unless that was done within the time. When one of them writes on a newer timeline than
// the server in use, no connection to that one is used any more.
func (e *Engine) lookAround(ctx context.Context, unless time.Duration) {
	if len(e.lookouts) == 0 {
		return
	}
	e.looking.Lock()
	defer e.looking.Unlock()
	if time.Since(e.looked) < unless {
		return
	}
	var all sync.WaitGroup
	found := make([]*pgServer, len(e.lookouts))
	for i, l := range e.lookouts {
		all.Go(func() { found[i] = l.look(ctx) })
	}
	all.Wait()
	e.looked = time.Now()
	for _, s := range found {
		if s != nil && e.history.seen(s) {
			e.history.doubt()
			e.pool.Reset()
		}
	}
}

// watchServers looks at the hosts every second, and keeps the position in the log.
func (e *Engine) watchServers() {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	kept := time.Now()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-tick.C:
			e.lookAround(e.ctx, 0)
			if time.Since(kept) > keepEvery {
				e.history.keep()
				kept = time.Now()
			}
		}
	}
}
