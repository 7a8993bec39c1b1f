package pgtest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dialproof/dialproof/internal/pgtest"
)

func count(t *testing.T, s *pgtest.Server) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLifeOfAServer kills a server, lets it recover, and fails over to its replica.
func TestLifeOfAServer(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	s.Exec("CREATE TABLE kept (n int)")
	s.Exec("INSERT INTO kept VALUES (1)")
	s.Kill()
	s.Run()
	if n := count(t, s); n != 1 {
		t.Fatalf("after kill -9 there are %d rows, want 1", n)
	}
	r := s.Replica()
	s.Synchronous(true)
	s.Exec("INSERT INTO kept VALUES (2)")
	s.Kill()
	r.Promote()
	r.Exec("INSERT INTO kept VALUES (3)")
	if n := count(t, r); n != 3 {
		t.Errorf("the promoted replica has %d rows, want 3", n)
	}
	if a, b := r.Fresh(), r.Fresh(); a == b {
		t.Error("two fresh schemas are one")
	}
}

func TestPooler(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Start(t).Pooler()
	c, err := pgx.Connect(t.Context(), dsn+"&default_query_exec_mode=exec")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	var n int64
	if err := c.QueryRow(t.Context(), "SELECT $1::bigint + 1", int64(1)).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
}
