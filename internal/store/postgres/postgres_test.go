package postgres_test

import (
	"testing"

	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/storetest"
)

// opened returns a store that is closed when the test ends.
func opened(t *testing.T, o postgres.Options) *store.DB {
	t.Helper()
	e, err := postgres.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	db := store.New(e, nil)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// TestPostgres runs everything that can share one server.
func TestPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	for name, test := range map[string]func(*testing.T, *pgtest.Server){
		"suite": suite, "nodes": manyNodes, "pooler": pooled, "unprepared": unprepared, "lost COMMIT": lostCommit,
		"unknown COMMIT": unknownCommit,
		"clocks":         clocks, "events": events, "news": news, "lost lane": lostLane, "plain role": plainRole,
		"failed commits": failedCommits, "lost commits": lostCommits, "counters ahead": countersAhead,
		"never migrates": neverMigrates,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, server) })
	}
}

func events(t *testing.T, server *pgtest.Server) {
	storetest.RunEvents(t, func(t *testing.T) storetest.EventStore {
		t.Helper()
		return opened(t, postgres.Options{DSN: server.Fresh(), Migrate: true, Connections: 6, Lanes: 2})
	})
}

func suite(t *testing.T, server *pgtest.Server) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		return opened(t, postgres.Options{DSN: server.Fresh(), Migrate: true, Connections: 6, Lanes: 2})
	})
}

func manyNodes(t *testing.T, server *pgtest.Server) {
	storetest.RunNodes(t, func(t *testing.T, n int) (out []storetest.Store) {
		t.Helper()
		dsn := server.Fresh()
		for range n {
			out = append(out, opened(t, postgres.Options{DSN: dsn, Migrate: true, Connections: 8, Lanes: 3}))
		}
		return out
	})
}

// unprepared talks to the server without asking it what its statements take.
func unprepared(t *testing.T, server *pgtest.Server) {
	for _, mode := range []string{"exec", "simple_protocol"} {
		db := opened(t,
			postgres.Options{DSN: server.Fresh() + "&default_query_exec_mode=" + mode, Migrate: true, Lanes: 1, Connections: 4})
		load := storetest.NewLoad(t, db)
		load.Run(t, 20, 4)
		load.JudgeRows(t, db)
	}
}
