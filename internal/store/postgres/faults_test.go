package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/verify"
)

// only fails the test when there are other outcomes than these.
func only(t *testing.T, outcomes map[string]int, allowed ...string) {
	t.Helper()
	for what, n := range outcomes {
		ok := false
		for _, a := range allowed {
			ok = ok || what == "start "+a || what == "check "+a
		}
		if !ok {
			t.Errorf("%d times the outcome %q", n, what)
		}
	}
}

// lostCommit loses the answers of COMMITs: the store finds out that they happened, and nothing is done twice.
func lostCommit(t *testing.T, server *pgtest.Server) {
	for name, fault := range map[string]func(*pgtest.Proxy){
		"after":  func(p *pgtest.Proxy) { p.LoseCommits(1) },
		"before": func(p *pgtest.Proxy) { p.BreakTransactions(1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, dsn := server.Proxy(), server.Fresh()
			db := opened(t, postgres.Options{DSN: proxy.DSN(t, dsn), Migrate: true, Connections: 8, Lanes: 2})
			load := storetest.NewLoad(t, db)
			happened := 0
			for range 10 {
				fault(proxy)
				load.Run(t, 8, 4)
				happened += 1 - proxy.Left()
			}
			if happened != 10 {
				t.Errorf("%d faults happened, want 10", happened)
			}
			if got := load.Outcomes(); got["start ok"] != 80 || got["check ok"] != 240 {
				t.Errorf("outcomes %v, want all to be ok", got)
			}
			load.Judge(t, db)
			if d, err := db.Depth(t.Context(), time.Now()); d.Open != 80 || err != nil {
				t.Errorf("%d jobs for 80 starts, %v", d.Open, err)
			}
		})
	}
}

// unknownCommit loses the answer and the way to ask: the work is answered as unavailable, and the store goes on
// when the way is back.
func unknownCommit(t *testing.T, server *pgtest.Server) {
	proxy := server.Proxy()
	db := opened(t, postgres.Options{DSN: proxy.DSN(t, server.Fresh()), Migrate: true, Lanes: 1, Timeout: time.Second})
	load := storetest.NewLoad(t, db)
	proxy.LoseCommits(1)
	var all sync.WaitGroup
	all.Go(func() { load.Run(t, 1, 1) })
	for deadline := time.Now().Add(10 * time.Second); proxy.Left() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	proxy.Cut()
	all.Wait()
	proxy.Heal()
	got := load.Outcomes()
	// The look may have been quicker than the cut.
	if got["start store_unavailable"]+got["start ok"] != 1 {
		t.Errorf("outcomes %v", got)
	}
	load.Run(t, 5, 1)
	if got["start ok"] < 5 {
		t.Errorf("after the way was back: %v", got)
	}
	load.Judge(t, db)
}

// TestServerFails breaks a server, one way after the other.
func TestServerFails(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	t.Run("dies", func(t *testing.T) { serverDies(t, server) })
	t.Run("hangs", func(t *testing.T) { serverHangs(t, server) })
	t.Run("speaks TLS", func(t *testing.T) { serverSpeaksTLS(t, server) })
}

// serverSpeaksTLS goes over TLS, and does not when the certificate is another's.
func serverSpeaksTLS(t *testing.T, server *pgtest.Server) {
	dsn := server.Secure()
	load := storetest.NewLoad(t, opened(t, postgres.Options{DSN: dsn, Migrate: true, Lanes: 1}))
	load.Run(t, 5, 2)
	if got := load.Outcomes(); got["start ok"] != 5 {
		t.Errorf("outcomes %v", got)
	}
	stranger := strings.Replace(dsn, "127.0.0.1:", "localhost:", 1) // the certificate is for the address
	if db, err := postgres.Open(t.Context(), postgres.Options{DSN: stranger, Migrate: true, Lanes: 1}); err == nil {
		t.Errorf("a certificate for another name was taken: %v", db.Close())
	}
}

// serverDies kills the server under the load of two nodes, three times. What was acknowledged is there afterwards, and
// the stores go on without being opened again.
func serverDies(t *testing.T, server *pgtest.Server) {
	dsn := server.Fresh()
	o := postgres.Options{DSN: dsn, Migrate: true, Connections: 8, Lanes: 2, Timeout: 2 * time.Second}
	one, two := opened(t, o), opened(t, o)
	load := storetest.NewLoad(t, one, two)
	for range 3 {
		var all sync.WaitGroup
		all.Go(func() { load.Run(t, 150, 8) })
		time.Sleep(30 * time.Millisecond) // somewhere in the middle
		server.Kill()
		server.Run()
		all.Wait()
	}
	got := load.Outcomes()
	only(t, got, "ok", "store_unavailable", "busy")
	before := got["start ok"]
	load.Run(t, 20, 4)
	if got["start ok"] < before+20 {
		t.Errorf("after the server was back: %v", got)
	}
	load.Judge(t, one)
}

// serverHangs stops the server's processes without closing a connection: callers are answered in bounded time.
func serverHangs(t *testing.T, server *pgtest.Server) {
	db := opened(t, postgres.Options{DSN: server.Fresh(), Migrate: true, Lanes: 2, Timeout: time.Second})
	load := storetest.NewLoad(t, db)
	load.Run(t, 5, 2)
	server.Pause()
	begin := time.Now()
	load.Run(t, 2, 2)
	took := time.Since(begin)
	_, err := db.Find(t.Context(), id.ID{1})
	server.Resume()
	if e, ok := errors.AsType[*verify.Error](err); !ok || e.Code != verify.CodeUnavailable {
		t.Errorf("a read while the server hangs: %v", err)
	}
	if took > 30*time.Second {
		t.Errorf("two starts were answered after %s", took)
	}
	got := load.Outcomes()
	only(t, got, "ok", "store_unavailable")
	if got["start store_unavailable"] == 0 {
		t.Errorf("nothing failed while the server hung: %v", got)
	}
	load.Run(t, 5, 2)
	load.Judge(t, db)
}

// TestFailover promotes a synchronous replica after the primary was killed. The store finds it by itself, among the
// hosts of its connection string, and loses nothing. A replica alone is not taken.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary := pgtest.Start(t)
	replica := primary.Replica()
	primary.Synchronous(true)
	if db, err := postgres.Open(t.Context(), postgres.Options{DSN: replica.DSN("postgres"), Migrate: true}); err == nil {
		t.Errorf("a replica was taken for a server that writes: %v", db.Close())
	}
	both := strings.Replace(primary.DSN("postgres"), "127.0.0.1:", "127.0.0.1:"+port(replica)+",127.0.0.1:", 1)
	db := opened(t, postgres.Options{DSN: both, Migrate: true, Connections: 8, Lanes: 2, Timeout: 2 * time.Second})
	load := storetest.NewLoad(t, db)
	load.Run(t, 20, 4)
	var all sync.WaitGroup
	all.Go(func() { load.Run(t, 150, 8) })
	time.Sleep(30 * time.Millisecond) // somewhere in the middle
	primary.Kill()
	replica.Promote()
	all.Wait()
	got := load.Outcomes()
	only(t, got, "ok", "store_unavailable", "busy")
	before := got["start ok"]
	load.Run(t, 20, 4)
	if got["start ok"] != before+20 {
		t.Errorf("after the failover: %v", got)
	}
	load.Judge(t, db)
}

func port(s *pgtest.Server) string {
	_, rest, _ := strings.Cut(s.DSN("x"), "127.0.0.1:")
	p, _, _ := strings.Cut(rest, "/")
	return p
}

// pooled runs the suite through PgBouncer in transaction mode.
func pooled(t *testing.T, server *pgtest.Server) {
	pooler := server.Pooler()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		return opened(t, postgres.Options{
			DSN:         strings.Replace(pooler, "/postgres?", "/"+server.Name()+"?", 1),
			Migrate:     true,
			Connections: 6,
			Lanes:       2,
			Pooler:      true,
		})
	})
}

// clocks gives two nodes clocks that differ by 80 seconds: they agree on the time all the same, and neither takes a job
// that the other one has just made.
func clocks(t *testing.T, server *pgtest.Server) {
	dsn := server.Fresh()
	node := func(off time.Duration) *store.DB {
		return opened(t,
			postgres.Options{DSN: dsn, Migrate: true, Lanes: 1, Now: func() time.Time { return time.Now().Add(off) }})
	}
	slow, fast := node(-40*time.Second), node(40*time.Second)
	if d := fast.Now().Sub(slow.Now()).Abs(); d > time.Second {
		t.Errorf("the nodes differ by %s", d)
	}
	job := queue.Job{
		ID:      id.NewSource(id.ID{}).New(time.Now()),
		Kind:    "k",
		Due:     slow.Now().Add(30 * time.Second),
		Attempt: 1,
	}
	if err := slow.Do(t.Context(), verify.Needs{}, func(tx verify.Tx) error { tx.PutJob(job); return nil }); err != nil {
		t.Fatal(err)
	}
	if jobs, err := fast.Claim(t.Context(), fast.Now(), "k", 10, time.Minute); err != nil || len(jobs) != 0 {
		t.Errorf("a fast clock took %d jobs at their birth, %v", len(jobs), err)
	}
}

// news tells another node at once that tenants have changed.
func news(t *testing.T, server *pgtest.Server) {
	o := postgres.Options{DSN: server.Fresh(), Migrate: true, Lanes: 1}
	here, there := opened(t, o), opened(t, o)
	heard := func() bool {
		select {
		case <-there.Changed():
			return true
		case <-time.After(10 * time.Second):
			return false
		}
	}
	if !heard() {
		t.Fatal("the listener has not begun")
	}
	if err := here.PutApplication(t.Context(), application.Application{ID: id.ID{1}, Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	if !heard() {
		t.Error("the other node was not told")
	}
}

// lostLane removes a lane's row, as upkeep does with the rows of dead nodes, and as a restored backup may.
func lostLane(t *testing.T, server *pgtest.Server) {
	dsn := server.Database("lanes")
	db := opened(t, postgres.Options{DSN: dsn, Migrate: true, Lanes: 1})
	if err := db.Upkeep(context.Background(), db.Now().Add(365*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	load := storetest.NewLoad(t, db)
	load.Run(t, 10, 5)
	if got := load.Outcomes(); got["start ok"] != 10 {
		t.Errorf("outcomes %v", got)
	}
	load.Judge(t, db)
}

// plainRole opens a store whose schema another role has made, with the rights to read and write rows and no others.
func plainRole(t *testing.T, server *pgtest.Server) {
	dsn := server.Fresh()
	if err := opened(t, postgres.Options{DSN: dsn, Migrate: true, Lanes: 1}).Close(); err != nil {
		t.Fatal(err)
	}
	_, schema, _ := strings.Cut(dsn, "search_path=")
	server.Exec("CREATE ROLE plain LOGIN")
	server.Exec("GRANT USAGE ON SCHEMA " + schema + " TO plain")
	server.Exec("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA " + schema + " TO plain")
	db := opened(t, postgres.Options{DSN: strings.Replace(dsn, "postgres@", "plain@", 1), Migrate: true, Lanes: 1})
	load := storetest.NewLoad(t, db)
	load.Run(t, 5, 2)
	if got := load.Outcomes(); got["start ok"] != 5 || got["check ok"] != 15 {
		t.Errorf("outcomes %v", got)
	}
	if f, err := db.Describe(t.Context()); err != nil || !strings.HasPrefix(f.Summary, "PostgreSQL ") ||
		len(f.Wrong) != 2 {
		t.Errorf("the description is %+v, %v; the tests' server has fsync and full_page_writes off", f, err)
	}
}
