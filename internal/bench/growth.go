//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/ncruces/go-sqlite3"
)

// growth measures Dialproof on a store that was filled behind its back, in turn with another one that was not.
func growth(ctx context.Context, o Options, dir string, sink *sink) (err error) {
	fmt.Fprintf(o.Out, "%s\n%d connections, %d starts and checks a round, medians of %d rounds in turn\n\n", machine(dir),
		o.Connections, o.Ops, o.Rounds)
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
	o    Options
	dsn  string // of PostgreSQL; empty: SQLite
	dir  string
	sink *sink
	n    *numbers
}

func (g *grown) run(ctx context.Context, w *tabwriter.Writer) (err error) {
	full, p, err := g.full(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, full.stop()) }()
	dsn, drop, err := g.other(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	empty, err := startDialproof(ctx, g.o.Program, g.dir+"-beside", g.sink.url(), storeOf(dsn))
	if err != nil {
		return err
	}
	empty.beside = full.beside
	defer func() { err = errors.Join(err, empty.stop()) }()
	return g.compare(ctx, empty, full, point{idle: idleMemory(empty)}, p, w)
}

// storeOf returns the setting of a store.
func storeOf(dsn string) string {
	if dsn == "" {
		return ""
	}
	return fmt.Sprintf("{driver: postgres, dsn: %q}", dsn)
}

// full returns a server whose store has been filled, with pending verifications.
func (g *grown) full(ctx context.Context) (*server, point, error) {
	s, err := startDialproof(ctx, g.o.Program, g.dir, g.sink.url(), storeOf(g.dsn))
	if err != nil {
		return nil, point{}, err
	}
	// The rows that fill it are copies of one that it made itself.
	first := g.o
	first.Ops = min(first.Ops, 100)
	_, err = measure(ctx, s, g.sink, g.n, first)
	if err = errors.Join(err, s.stop()); err != nil {
		return nil, point{}, err
	}
	if err := g.fill(ctx); err != nil {
		return nil, point{}, fmt.Errorf("filling the store: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%s: filled with %d\n", s.title, g.o.Old)
	began := time.Now()
	again, err := s.again(ctx, g.o.Program)
	if err != nil {
		return nil, point{}, err
	}
	if g.dsn != "" && g.o.PostgresPID > 0 {
		again.beside = []int{g.o.PostgresPID}
	}
	p := point{old: g.o.Old, pending: g.o.Pending, ready: time.Since(began), idle: idleMemory(again)}
	if err := g.pend(ctx, again); err != nil {
		return nil, point{}, errors.Join(err, again.stop())
	}
	return again, p, nil
}

// besideName is the database of the store that is not filled.
const besideName = "dialproof_bench_beside"

// other returns where the store is that is not filled, and what takes it away.
func (g *grown) other(ctx context.Context) (dsn string, drop func() error, err error) {
	if g.dsn == "" {
		return "", func() error { return nil }, nil
	}
	exec := func(sql string) error {
		c, err := pgx.Connect(context.WithoutCancel(ctx), g.dsn)
		if err != nil {
			return err
		}
		_, err = c.Exec(context.WithoutCancel(ctx), sql)
		return errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	u, err := url.Parse(g.dsn)
	if err != nil || u.Scheme == "" {
		return "", nil, errors.New("--old and --pending need --postgres as an address, like postgres://bench@127.0.0.1/bench")
	}
	u.Path = "/" + besideName
	drop = func() error { return exec("DROP DATABASE IF EXISTS " + besideName + " WITH (FORCE)") }
	return u.String(), drop, errors.Join(drop(), exec("CREATE DATABASE "+besideName))
}

// point is one row of the table: how full the store is, how long the server took to be ready, and what it held before
// the load.
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

// compare measures both servers in turn: what a cycle costs on the full store is told beside the round before on the
// other one.
func (g *grown) compare(ctx context.Context, empty, full *server, e, f point, w *tabwriter.Writer) error {
	results := [2]result{{name: empty.title}, {name: full.title}}
	var most [2]int64
	var ratios []float64
	for i := range g.o.Rounds {
		var cycles [2]float64
		for k, s := range []*server{empty, full} {
			one, err := measure(ctx, s, g.sink, g.n, g.o)
			if err != nil {
				return err
			}
			results[k].add(one)
			cycles[k] = one.cycle()
			most[k] = max(most[k], procNumber(s.cmd.Process.Pid, "status", "VmRSS:")<<10)
		}
		ratios = append(ratios, cycles[1]/cycles[0])
		fmt.Fprintf(os.Stderr, "round %d: %s: %.1f us a cycle, and %.1f us with %d old\n", i+1, full.title, cycles[0],
			cycles[1], g.o.Old)
	}
	slices.Sort(ratios)
	for k, p := range []point{e, f} {
		r := &results[k]
		start, check := median(r, func(n round) float64 { return n.start.cpu }), median(r,
			func(n round) float64 { return n.check.cpu })
		ratio := 1.0
		if k == 1 {
			ratio = ratios[len(ratios)/2]
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.0f\t%.1f\t%.1f\t%.2f x\t%.0f\t\n", r.name, p.old, p.pending, p.ready.Milliseconds(),
			mb(p.idle), start, check, ratio, mb(most[k]))
	}
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
		body := fmt.Sprintf(`{"to":%q,"purpose":"login","expires_in":600,"client":{"ip":"10.%d.%d.%d"}}`, all[i].number,
			i>>16&255, i>>8&255, i&255)
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

// The rows that fill a store are copies of one that it has: approved, its personal part forgotten, made a day before.
// Each has the row of a number. Keys are in order, which is quick, and spread as hashes are: a new number falls between
// them.
const (
	fillLite = `
		WITH RECURSIVE n (i) AS (SELECT %[2]d UNION ALL SELECT i + 1 FROM n WHERE i < %[3]d), one AS (SELECT * FROM
			verifications WHERE status = 1 ORDER BY seq LIMIT 1)
		INSERT INTO verifications (seq, id, app, spec, sealed, status, attempts, expires, state)
		SELECT one.seq - (86400000 << 16) - %[1]d + i, substr(printf('%%016x', one.seq - (86400000 << 16) - %[1]d + i),
			1, 8) || substr(one.id, 9),
			app, spec, NULL, status, attempts, expires - 86400000, state FROM n, one;
		WITH RECURSIVE n (i) AS (SELECT %[2]d UNION ALL SELECT i + 1 FROM n WHERE i < %[3]d), one AS (SELECT * FROM
			numbers LIMIT 1)
		INSERT OR IGNORE INTO numbers (key, data, touched)
		SELECT unhex(printf('%%08x%%024x', i * 4294967295 / %[1]d, i)), data, touched FROM n, one;`
	fillPostgres = `
		WITH one AS (SELECT * FROM verifications WHERE status = 1 ORDER BY id LIMIT 1)
		INSERT INTO verifications (id, app, number, spec, sealed, status, attempts, expires, state)
		SELECT int8send(('x' || encode(substr(one.id, 1, 8), 'hex'))::bit(64)::bigint - (86400000::bigint << 16) - %[1]d
			+ i) || substr(one.id, 9),
			app, NULL, spec, NULL, status, attempts, expires - 86400000, state FROM generate_series(1, %[1]d) AS i, one;
		WITH one AS (SELECT * FROM numbers LIMIT 1)
		INSERT INTO numbers (key, data, touched) SELECT int8send((i * 4294967295 / %[1]d) << 32 | i) || int8send(i),
			data, touched FROM generate_series(1::bigint, %[1]d) AS i, one;
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
