//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/ncruces/go-sqlite3"
)

// growth measures Dialproof on an empty store, fills the store behind its back, starts it again, and measures the same once more.
func growth(ctx context.Context, o Options, dir string, sink *sink) (err error) {
	fmt.Fprintf(o.Out, "%s\n%d connections, %d starts and checks a round, medians of %d rounds\n\n", machine(dir), o.Connections, o.Ops, o.Rounds)
	w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "system\told verifications\tpending\tready ms\tidle RSS MB\tstart us\tcheck us\tcycle\tRSS MB\t")
	n := &numbers{}
	stores := []string{""}
	if o.Postgres != "" {
		stores = append(stores, o.Postgres)
	}
	for _, dsn := range stores {
		g := &grown{o: o, dsn: dsn, dir: filepath.Join(dir, fmt.Sprintf("grown-%t", dsn != "")), sink: sink, n: n}
		if err := g.run(ctx, w); err != nil {
			return err
		}
	}
	return w.Flush()
}

// grown is one store that grows.
type grown struct {
	o     Options
	dsn   string // of PostgreSQL; empty: SQLite
	dir   string
	sink  *sink
	n     *numbers
	empty float64 // CPU of a cycle before
}

func (g *grown) run(ctx context.Context, w *tabwriter.Writer) error {
	store := ""
	if g.dsn != "" {
		store = fmt.Sprintf("{driver: postgres, dsn: %q}", g.dsn)
	}
	s, err := startDialproof(ctx, g.o.Program, g.dir, g.sink.url(), store)
	if err != nil {
		return err
	}
	if err := g.measure(ctx, s, point{idle: idleMemory(s)}, w); err != nil {
		return errors.Join(err, s.stop())
	}
	if err := s.stop(); err != nil {
		return err
	}
	if err := g.fill(ctx); err != nil {
		return fmt.Errorf("filling the store: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%s: filled with %d\n", s.title, g.o.Old)
	began := time.Now()
	again, err := s.again(ctx, g.o.Program)
	if err != nil {
		return err
	}
	p := point{old: g.o.Old, pending: g.o.Pending, ready: time.Since(began), idle: idleMemory(again)}
	err = g.pend(ctx, again)
	if err == nil {
		err = g.measure(ctx, again, p, w)
	}
	return errors.Join(err, again.stop())
}

// point is one row of the table: how full the store is, how long the server took to be ready, and what it held before the load.
type point struct {
	old, pending int
	ready        time.Duration
	idle         int64 // bytes
}

// settleTime is how long a server is left alone before its memory counts as idle.
const settleTime = 3 * time.Second

func idleMemory(s *server) int64 {
	time.Sleep(settleTime)
	return procNumber(s.cmd.Process.Pid, "status", "VmRSS:") << 10
}

// measure measures a server under load.
func (g *grown) measure(ctx context.Context, s *server, p point, w *tabwriter.Writer) error {
	r := &result{name: s.title}
	most := int64(0)
	for range g.o.Rounds {
		one, err := measure(ctx, s, g.sink, g.n, g.o)
		if err != nil {
			return err
		}
		r.add(one)
		most = max(most, procNumber(s.cmd.Process.Pid, "status", "VmRSS:")<<10)
	}
	start, check := median(r, func(n round) float64 { return n.start.cpu }), median(r, func(n round) float64 { return n.check.cpu })
	cycle := median(r, round.cycle)
	if g.empty == 0 {
		g.empty = cycle
	}
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.0f\t%.1f\t%.1f\t%.2f x\t%.0f\t\n", s.title, p.old, p.pending, p.ready.Milliseconds(), mb(p.idle), start, check, cycle/g.empty, mb(most))
	fmt.Fprintf(os.Stderr, "%s with %d old: %.1f us a cycle\n", s.title, p.old, cycle)
	return nil
}

func mb(n int64) float64 { return float64(n) / (1 << 20) }

// pend starts verifications that stay pending, each from a network of its own, so that as many limit keys are alive.
func (g *grown) pend(ctx context.Context, s *server) error {
	all := make([]started, g.o.Pending)
	if len(all) == 0 {
		return nil
	}
	how, ok := s.how.(dialproofTarget)
	if !ok {
		return errors.New("only Dialproof grows")
	}
	_, err := drive(ctx, how.address(), g.o.Connections, len(all), func(l *lane, i int) error {
		all[i].number = g.n.next()
		body := fmt.Sprintf(`{"to":%q,"purpose":"login","expires_in":600,"client":{"ip":"10.%d.%d.%d"}}`, all[i].number, i>>16&255, i>>8&255, i&255)
		status, answer, err := l.post(how.at, "/v1/verifications", how.auth, []byte(body))
		_, err = answered(status, answer, err, 201)
		return err
	})
	if err == nil {
		err = g.sink.wait(ctx, all)
	}
	g.sink.forget(all)
	return err
}

// again starts a server that has stopped with the configuration that it had.
func (s *server) again(ctx context.Context, program string) (*server, error) {
	config := s.cmd.Args[len(s.cmd.Args)-1]
	c := command(ctx, program, "serve", "--config", config)
	if err := c.Start(); err != nil {
		return nil, err
	}
	next := &server{title: s.title, cmd: c, stats: s.stats, beside: s.beside, how: s.how}
	return next, ready(ctx, "http://"+s.how.address()+"/readyz")
}

// The rows that fill a store are copies of one that it has: approved, its personal part forgotten, made a day before. Each has the
// row of a number. Keys are in order, which is quick, and spread as hashes are: a new number falls between them.
const (
	fillLite = `
		WITH RECURSIVE n (i) AS (SELECT %[2]d UNION ALL SELECT i + 1 FROM n WHERE i < %[3]d), one AS (SELECT * FROM verifications WHERE status = 1 ORDER BY seq LIMIT 1)
		INSERT INTO verifications (seq, id, app, spec, sealed, status, attempts, expires, state)
		SELECT one.seq - (86400000 << 16) - %[1]d + i, substr(printf('%%016x', one.seq - (86400000 << 16) - %[1]d + i), 1, 8) || substr(one.id, 9),
			app, spec, NULL, status, attempts, expires - 86400000, state FROM n, one;
		WITH RECURSIVE n (i) AS (SELECT %[2]d UNION ALL SELECT i + 1 FROM n WHERE i < %[3]d), one AS (SELECT * FROM numbers LIMIT 1)
		INSERT OR IGNORE INTO numbers (key, data, touched)
		SELECT unhex(printf('%%08x%%024x', i * 4294967295 / %[1]d, i)), data, touched FROM n, one;`
	fillPostgres = `
		WITH one AS (SELECT * FROM verifications WHERE status = 1 ORDER BY id LIMIT 1)
		INSERT INTO verifications (id, app, number, spec, sealed, status, attempts, expires, state)
		SELECT int8send(('x' || encode(substr(one.id, 1, 8), 'hex'))::bit(64)::bigint - (86400000::bigint << 16) - %[1]d + i) || substr(one.id, 9),
			app, NULL, spec, NULL, status, attempts, expires - 86400000, state FROM generate_series(1, %[1]d) AS i, one;
		WITH one AS (SELECT * FROM numbers LIMIT 1)
		INSERT INTO numbers (key, data, touched) SELECT int8send((i * 4294967295 / %[1]d) << 32 | i) || int8send(i), data, touched FROM generate_series(1::bigint, %[1]d) AS i, one;
		ANALYZE`
)

// fill puts the old verifications in, without the server.
func (g *grown) fill(ctx context.Context) error {
	if g.o.Old == 0 {
		return nil
	}
	if g.dsn == "" {
		return fillSQLite(filepath.Join(g.dir, "data"), g.o.Old)
	}
	c, err := pgx.Connect(ctx, g.dsn)
	if err != nil {
		return err
	}
	defer c.Close(ctx) //nolint:errcheck // everything was answered
	for statement := range strings.SplitSeq(fmt.Sprintf(fillPostgres, g.o.Old), ";") {
		if _, err := c.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func fillSQLite(folder string, old int) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.db"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("there is not one file of SQLite in %s: %v", folder, files)
	}
	c, err := sqlite3.Open(files[0])
	if err != nil {
		return err
	}
	err = c.Exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -65536")
	for from := 1; from <= old && err == nil; from += fillStep {
		err = c.Exec(fmt.Sprintf(fillLite, old, from, min(from+fillStep-1, old)))
	}
	if err == nil {
		err = c.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	}
	return errors.Join(err, c.Close())
}

// fillStep is how many rows share a transaction: the library keeps what is not committed in little memory.
const fillStep = 100_000
