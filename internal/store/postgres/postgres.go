// Package postgres is the engine for many nodes: a PostgreSQL server behind any number of them. It holds no rule of
// verifications or of jobs.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/tables"
)

// Defaults of a PostgreSQL store.
const (
	DefaultConnections = 16
	DefaultLanes       = 3
	DefaultTimeout     = 5 * time.Second
)

// Options says which server to open, and how. Zero values take the defaults.
type Options struct {
	// DSN is the connection string. What it says wins over what follows.
	DSN string
	// Connections bounds the connections of this node: one for each lane, the others read.
	Connections int
	// Lanes is how many transactions this node commits at once, at most: another begins when one takes long.
	Lanes int
	// Timeout bounds one statement.
	Timeout time.Duration
	// Pooler says that the DSN leads to a pooler in transaction mode (PgBouncer): no prepared statements and no settings
	// are left on a connection.
	Pooler bool
	// ListenDSN leads to the server itself, for news from other nodes; empty: DSN, and with Pooler none.
	ListenDSN string
	// Now is this machine's clock; the engine measures how far it is from the database's. Nil: time.Now.
	Now func() time.Time
	Log *slog.Logger
	// Migrate brings the schema up to date, or makes it. Without it, one of another version is refused.
	Migrate bool
	// Create makes the schema where there is none, but changes none.
	Create bool
	// Memory is a file that keeps which server was last written to, so that an old one is noticed after a restart too; its
	// folder must exist. Empty: that is known as long as the store is open. With ReadMemory it is only read.
	Memory     string
	ReadMemory bool
	// Retried is called when a batch is run again: another node was in its way, or the connection was lost. It must not
	// block.
	Retried func()
}

// Times that bound the talk with the server.
const (
	// lockTime is how long a transaction waits for the row of a number.
	lockTime = 2 * time.Second
	// idleTime is how long a transaction may stand still before the server ends it: a node that was stopped in the middle
	// of one holds its numbers no longer than that.
	idleTime = 3 * time.Second
	// clockEvery is how often the database's clock is read.
	clockEvery = time.Second
)

// Engine is the engine for many nodes.
type Engine struct {
	tables.Reader
	o       Options
	pool    *pgxpool.Pool
	lane    []*pgLane
	clock   pgClock
	changed chan struct{}

	// history is what is known of the server; greets is set once the schema is there, so that servers can be marked.
	history  history
	greets   atomic.Bool
	gate     chan struct{} // held by the connection that is being admitted
	lookouts []*lookout
	looking  sync.Mutex // held while hosts are looked at
	looked   time.Time  // when they last were

	ctx    context.Context // of the goroutines that watch, until close
	cancel context.CancelFunc
	watch  sync.WaitGroup
}

// pgLane is one writer: its row in lanes, and the batch that it works on.
type pgLane struct {
	id id.ID
	// token is of the lane's last commit, and timeline where that was: a server whose row has another token has lost it.
	token    id.ID
	timeline int64

	want store.Wanted // what the batch reads
	rows written      // what it writes
}

// defaults fills in what is zero.
func (o Options) defaults() Options {
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if o.Lanes == 0 {
		o.Lanes = DefaultLanes
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Retried == nil {
		o.Retried = func() {}
	}
	return o
}

// Open connects and brings the schema up to date.
func Open(ctx context.Context, o Options) (*Engine, error) {
	o = o.defaults()
	cfg, err := poolConfig(o)
	if err != nil {
		return nil, err
	}
	e := &Engine{o: o, changed: make(chan struct{}, 1), gate: make(chan struct{}, 1), lookouts: lookouts(cfg.ConnConfig)}
	if err := e.history.begin(o); err != nil {
		return nil, err
	}
	e.guard(cfg.ConnConfig)
	cfg.PrepareConn = e.usable
	if e.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), cfg); err != nil {
		return nil, err
	}
	e.Reader = tables.Reader{
		Dialect: tables.NewDialect("id", " FOR UPDATE", sqlNotify, func(i id.ID) any { return i[:] }),
		Run:     e.read,
	}
	e.clock.local, e.clock.log = o.Now, o.Log
	e.ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := e.begin(ctx); err != nil {
		e.cancel()
		e.pool.Close()
		return nil, err
	}
	e.watch.Go(e.watchClock)
	e.watch.Go(e.watchServers)
	e.watch.Go(e.listen)
	return e, nil
}

// begin does what must be done before the first work.
func (e *Engine) begin(ctx context.Context) error {
	if err := e.migrate(ctx); err != nil {
		return err
	}
	e.greets.Store(true)
	for range e.o.Lanes {
		l := &pgLane{}
		e.lane = append(e.lane, l)
		if err := e.newLane(ctx, l); err != nil {
			return err
		}
	}
	return e.readClock(ctx)
}

const sqlNewLane = `INSERT INTO lanes (id, n, seen, token) ` +
	`VALUES ($1, 0, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $2)`

// newLane gives a lane a row with a name and a token that nobody has had: what a transaction of the old row may still
// do is not seen in it. Only then does the lane take it.
func (e *Engine) newLane(ctx context.Context, l *pgLane) error {
	lane, token := random(), random()
	_, err := e.pool.Exec(ctx, sqlNewLane, lane[:], token[:])
	if err == nil {
		l.id, l.token, l.timeline = lane, token, e.history.remembered().Timeline
	}
	return err
}

func random() (out id.ID) {
	rand.Read(out[:]) // crypto/rand.Read never fails (it ends the process)
	return out
}

// poolConfig returns how to connect. What the connection string says wins.
func poolConfig(o Options) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(o.DSN)
	if err != nil {
		// err would show it
		return nil, errors.New("store.dsn is not a connection string of PostgreSQL, like postgres://dialproof@db/dialproof")
	}
	cfg.MaxConns = int32(max(o.Connections, o.Lanes+2)) // bounded by the configuration
	cfg.MaxConnIdleTime, cfg.HealthCheckPeriod = 5*time.Minute, 10*time.Second
	if cfg.MaxConnLifetime = time.Hour; cfg.MaxConnLifetimeJitter == 0 {
		cfg.MaxConnLifetimeJitter = 10 * time.Minute
	}
	cfg.AfterConnect = knowTypes
	direct(cfg.ConnConfig)
	if o.Pooler {
		// No state may stay on a server connection: no prepared statements, no settings.
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		return cfg, nil
	}
	for name, value := range settings(o) {
		if cfg.ConnConfig.RuntimeParams[name] == "" {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	}
	return cfg, nil
}

// direct sets what every connection needs: it is made quickly or not at all, and only to a server that writes.
func direct(c *pgx.ConnConfig) {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 3 * time.Second
	}
	if c.ValidateConnect == nil {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "dialproof"
	}
	c.OnNotice = notice
}

// settings are the bounds that the server itself keeps, and how it plans. Every statement here finds its rows by a key,
// but the server plans by what it believes of a table, and believes a table small that was small a minute ago: it would
// read the whole of it for each batch. So it is told to go by the index, and to plan once for all.
func settings(o Options) map[string]string {
	ms := func(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }
	return map[string]string{
		"statement_timeout":                   ms(o.Timeout),
		"lock_timeout":                        ms(min(lockTime, o.Timeout)),
		"idle_in_transaction_session_timeout": ms(idleTime),
		"enable_seqscan":                      "off",
		"enable_hashjoin":                     "off",
		"enable_mergejoin":                    "off",
		"plan_cache_mode":                     "force_generic_plan",
		"jit":                                 "off", // what is left of whole reads looks costly enough to compile
	}
}

// settingsStep sets them for one transaction.
func settingsStep(o Options) pgStep {
	s := settings(o)
	step := pgStep{sql: `SELECT set_config(n, v, true) FROM unnest($1::text[], $2::text[]) AS s (n, v)`}
	names := slices.Sorted(maps.Keys(s))
	values := make([]string, len(names))
	for i, n := range names {
		values[i] = s[n]
	}
	step.args = []any{names, values}
	return step
}

// Writers implements store.Engine.
func (e *Engine) Writers() int { return len(e.lane) }

// Now implements store.Engine.
func (e *Engine) Now() time.Time { return e.clock.now() }

// Changed implements store.Changer.
func (e *Engine) Changed() <-chan struct{} { return e.changed }

// Close implements store.Engine.
func (e *Engine) Close() error {
	e.cancel()
	e.watch.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), time.Second)
	defer cancel()
	for _, l := range e.lane {
		// Best effort: upkeep removes what is left.
		_, _ = e.pool.Exec(ctx, `DELETE FROM lanes WHERE id = $1`, l.id[:])
	}
	for _, l := range e.lookouts {
		l.close(ctx)
	}
	e.history.keep()
	e.pool.Close()
	return nil
}

// readTries is how often a read is begun again on another connection.
const readTries = 3

// read runs reads that need no lock.
func (e *Engine) read(ctx context.Context, f func(tables.Conn) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, e.o.Timeout)
	defer cancel()
	for range readTries {
		before := e.history.current.Load()
		err = f(pgConn{ctx, e.pool})
		if err == nil && e.history.stayed(before) {
			return nil
		}
		if err == nil {
			err = errChanged
		}
		if ctx.Err() != nil || faultOf(err) != faultDown {
			break
		}
		e.pool.Reset() // those that lie in it are likely broken as well
	}
	return err
}

// watchClock keeps the offset to the database's clock.
func (e *Engine) watchClock() {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-tick.C:
			_ = e.readClock(e.ctx) // the next reading comes soon
		}
	}
}

func (e *Engine) readClock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.o.Timeout)
	defer cancel()
	return e.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		var ms int64
		before := time.Now()
		err := c.QueryRow(ctx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`).Scan(&ms)
		if err == nil {
			e.clock.measured(before, time.Now(), time.UnixMicro(ms))
		}
		if err == nil && e.o.Pooler { // behind which the server may have become another one
			err = e.stillThere(ctx, c.Conn().PgConn())
		}
		return err
	})
}
