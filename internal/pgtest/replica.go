package pgtest

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Replica starts a streaming replica of the server. It answers reads; Promote makes it a server that writes.
func (s *Server) Replica() *Server {
	s.t.Helper()
	r := newServer(s.t, s.options)
	r.tool("pg_basebackup", "-D", r.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", "postgres", "-R", "-X",
		"stream", "-c", "fast", "--no-sync")
	r.Run()
	return r
}

// Synchronous makes commits wait until a replica has them, or no longer.
func (s *Server) Synchronous(on bool) {
	s.t.Helper()
	names := "''"
	if on {
		names = "'*'"
	}
	s.Exec("ALTER SYSTEM SET synchronous_standby_names = " + names)
	s.Exec("SELECT pg_reload_conf()")
	if on {
		s.until("SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'")
	}
}

// Promote makes a replica a server that writes, and waits until it does.
func (s *Server) Promote() {
	s.t.Helper()
	s.Exec("SELECT pg_promote(true, 60)")
	s.until("SELECT NOT pg_is_in_recovery()")
}

// until waits until a query answers true.
func (s *Server) until(sql string) {
	s.t.Helper()
	//nolint:forbidigo // also after the test's context has ended
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	c, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close(ctx) //nolint:errcheck // it only asked
	for {
		var yes bool
		if err := c.QueryRow(ctx, sql).Scan(&yes); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
		if yes {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Count returns the integer that a query of the database postgres yields.
func (s *Server) Count(sql string) (n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) //nolint:forbidigo // also in a cleanup
	defer cancel()
	c, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close(ctx) //nolint:errcheck // it only asked
	if err := c.QueryRow(ctx, sql).Scan(&n); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return n
}
