package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/storetest"
)

// lines is a log that several goroutines write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// count returns how many lines have all of these words.
func (l *lines) count(words ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.SplitSeq(l.text.String(), "\n") {
		all := line != ""
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// hosts returns a connection string that names several servers, or ways to them, in this order.
func hosts(t *testing.T, of ...string) string {
	t.Helper()
	var all []string
	for _, dsn := range of {
		_, rest, _ := strings.Cut(dsn, "@")
		host, _, _ := strings.Cut(rest, "/")
		all = append(all, host)
	}
	return fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable&connect_timeout=5", strings.Join(all, ","))
}

// unfenced is a failover after which the old primary came back by itself and takes writes, like the new one.
type unfenced struct {
	before, after *pgtest.Server
	way           *pgtest.Proxy // to the new one
	both          string        // the old one first
	memory        string
	log           lines
	db            *store.DB
	load          *storetest.Load
	rows          int // of the old one
}

func newUnfenced(t *testing.T) *unfenced {
	t.Helper()
	u := &unfenced{before: pgtest.Start(t, pgtest.Durable()...), memory: filepath.Join(t.TempDir(), "server.json")}
	u.after = u.before.Replica()
	u.before.Synchronous(true)
	u.way = u.after.Proxy()
	u.both = hosts(t, u.before.DSN("postgres"), u.way.DSN(t, u.after.DSN("postgres")))
	u.db = opened(t, u.options())
	u.load = storetest.NewLoad(t, u.db)
	u.load.Run(t, 20, 4)
	u.before.Kill()
	u.after.Promote()
	u.load.Run(t, 20, 4)
	u.before.Run()
	u.before.Synchronous(false) // nothing keeps it from taking writes
	u.rows = u.before.Count("SELECT count(*) FROM verifications")
	return u
}

func (u *unfenced) options() postgres.Options {
	return postgres.Options{
		DSN:         u.both,
		Migrate:     true,
		Connections: 8,
		Lanes:       2,
		Timeout:     2 * time.Second,
		Memory:      u.memory,
		Log:         u.log.logger(),
	}
}

// TestUnfencedPrimary lets an old primary come back beside the new one, and takes the way to the new one away, also
// between a COMMIT and its answer. Nothing is read from the old one, nothing written to it, and nothing acknowledged is
// gone.
func TestUnfencedPrimary(t *testing.T) {
	t.Parallel()
	u := newUnfenced(t)
	u.load.Run(t, 20, 4)
	if got := u.load.Outcomes(); got["start ok"] < 40 {
		t.Fatalf("beside the old primary: %v", got)
	}
	for range 3 { // an answer is lost, and then only the old primary can be reached
		u.way.LoseCommits(1)
		var all sync.WaitGroup
		all.Go(func() { u.load.Run(t, 4, 4) })
		for deadline := time.Now().Add(10 * time.Second); u.way.Left() > 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		u.way.Cut()
		all.Wait()
		if _, err := u.db.Find(t.Context(), id.ID{1}); !errors.Is(err, postgres.ErrBehind) {
			t.Errorf("a read that only the old primary could answer: %v", err)
		}
		if before := u.load.Outcomes()["start ok"]; true {
			u.load.Run(t, 2, 2)
			if got := u.load.Outcomes(); got["start ok"] != before {
				t.Errorf("a start was acknowledged by the old primary: %v", got)
			}
		}
		if db, err := postgres.Open(t.Context(), u.options()); !errors.Is(err, postgres.ErrBehind) {
			t.Errorf("a restarted node has taken the old primary: %v", errors.Join(err, db.Close()))
		}
		u.way.Heal()
		waitWell(t, u)
	}
	only(t, u.load.Outcomes(), "ok", "store_unavailable", "busy")
	fresh := u.options()
	fresh.Memory = ""
	storetest.NewLoad(t, opened(t, fresh)) // makes its tenants by a write
	if got := u.before.Count("SELECT count(*) FROM verifications"); got != u.rows {
		t.Errorf("the old primary has %d rows, and had %d", got, u.rows)
	}
	u.load.Judge(t, u.db)
	// once for each store
	if got := u.log.count("a database server is refused", fmt.Sprintf(":%d", u.before.Port)); got == 0 || got > 5 {
		t.Errorf("the log tells the refusal %d times:\n%s", got, u.log.text.String())
	}
}

// waitWell waits until work is done again.
func waitWell(t *testing.T, u *unfenced) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		before := u.load.Outcomes()["start ok"]
		u.load.Run(t, 1, 1)
		if u.load.Outcomes()["start ok"] > before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the way is back, and the store is not: %v\n%s", u.load.Outcomes(), u.log.text.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestFreshNodeTakesTheNewest opens stores that know nothing and reach both servers: they write to the new one.
func TestFreshNodeTakesTheNewest(t *testing.T) {
	t.Parallel()
	u := newUnfenced(t)
	for range 3 {
		o := u.options()
		o.Memory = ""
		load := storetest.NewLoad(t, opened(t, o)).Another()
		load.Run(t, 3, 1)
		if got := load.Outcomes(); got["start ok"] != 3 {
			t.Errorf("outcomes %v", got)
		}
	}
	if got := u.before.Count("SELECT count(*) FROM verifications"); got != u.rows {
		t.Errorf("the old primary has %d rows, and had %d", got, u.rows)
	}
}

// TestHungReplica stops the replica that every commit waits for. What has not reached it is not acknowledged, although
// the primary has it; when the replica then takes over, what was acknowledged is there.
func TestHungReplica(t *testing.T) {
	t.Parallel()
	primary := pgtest.Start(t, pgtest.Durable()...)
	replica := primary.Replica()
	primary.Synchronous(true)
	o := postgres.Options{
		DSN:         hosts(t, primary.DSN("postgres"), replica.DSN("postgres")),
		Migrate:     true,
		Connections: 8,
		Lanes:       2,
		Timeout:     time.Second,
	}
	db := opened(t, o)
	load := storetest.NewLoad(t, db)
	load.Run(t, 10, 4)
	replica.Pause()
	load.Run(t, 4, 2)
	if got := load.Outcomes(); got["start ok"] != 10 {
		t.Errorf("a start was acknowledged that one server has: %v", got)
	}
	if v, err := db.Find(t.Context(), id.ID{1}); err == nil {
		t.Errorf("what may be read is not on the replica: %v", v)
	}
	replica.Resume()
	primary.Kill()
	replica.Promote()
	load.Run(t, 10, 4)
	if got := load.Outcomes(); got["start ok"] < 15 {
		t.Errorf("after the failover: %v", got)
	}
	load.Judge(t, db)
}

// lostCommits takes a lane's last commit away, as a copy of the database would that is not the one that was written to:
// nothing is acknowledged any more.
func lostCommits(t *testing.T, server *pgtest.Server) {
	dsn := server.Fresh()
	db := opened(t, postgres.Options{DSN: dsn, Migrate: true, Lanes: 1})
	load := storetest.NewLoad(t, db)
	load.Run(t, 3, 1)
	_, schema, _ := strings.Cut(dsn, "search_path=")
	server.Exec(`UPDATE ` + schema + `.lanes SET token = '\x00'`)
	load.Run(t, 2, 1)
	if got := load.Outcomes(); got["start ok"] != 3 || got["start store_unavailable"] != 2 {
		t.Errorf("outcomes %v", got)
	}
	if _, err := db.Find(t.Context(), id.ID{1}); !errors.Is(err, postgres.ErrBehind) {
		t.Errorf("a read: %v", err)
	}
}

// countersAhead lets the lane's counter on the server run ahead while a commit is lost on its way: it happened only if
// the token says so.
func countersAhead(t *testing.T, server *pgtest.Server) {
	proxy, dsn := server.Proxy(), server.Fresh()
	db := opened(t, postgres.Options{DSN: proxy.DSN(t, dsn), Migrate: true, Connections: 4, Lanes: 1})
	load := storetest.NewLoad(t, db)
	_, schema, _ := strings.Cut(dsn, "search_path=")
	for range 5 {
		server.Exec(`UPDATE ` + schema + `.lanes SET n = n + 1000`)
		proxy.BreakTransactions(1)
		load.Run(t, 2, 1)
	}
	load.Judge(t, db)
}

// neverMigrates opens a schema of another version as a command does that was not asked to change it.
func neverMigrates(t *testing.T, server *pgtest.Server) {
	dsn := server.Fresh()
	_, schema, _ := strings.Cut(dsn, "search_path=")
	refused := func(want string) {
		t.Helper()
		db, err := postgres.Open(t.Context(), postgres.Options{DSN: dsn, Lanes: 1, ReadMemory: true})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
		if err == nil {
			t.Error(db.Close())
		}
	}
	refused("it has none yet")
	if n := server.Count(`SELECT count(*) FROM pg_tables WHERE schemaname = '` + schema + `'`); n != 0 {
		t.Errorf("%d tables were made", n)
	}
	var log lines
	running := opened(t, postgres.Options{DSN: dsn, Migrate: true, Lanes: 1, Log: log.logger()})
	if log.count("schema", "from=") == 0 {
		t.Errorf("migrations were not told:\n%s", log.text.String())
	}
	rows := func() int { return server.Count(`SELECT count(*) FROM ` + schema + `.lanes`) }
	for _, step := range [][2]string{
		{`DELETE FROM dialproof_schema WHERE version = (SELECT max(version) FROM dialproof_schema)`,
			"run `dialproof migrate`"},
		{`INSERT INTO dialproof_schema (version, name) VALUES (99, 'later')`, "newer Dialproof"},
	} {
		change, want := step[0], step[1]
		server.Exec(strings.ReplaceAll(change, "dialproof_schema", schema+".dialproof_schema"))
		before := rows()
		refused(want)
		if got := rows(); got != before {
			t.Errorf("%d rows were written", got-before)
		}
	}
	storetest.NewLoad(t, running).Run(t, 1, 1)
}
