package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dialproof/dialproof/internal/testport"
)

// Pooler starts PgBouncer in transaction mode before the server and answers the connection string of the database
// postgres through it. Each transaction may meet another server connection, of which there are few.
func (s *Server) Pooler() string {
	s.t.Helper()
	path, err := exec.LookPath("/usr/sbin/pgbouncer")
	if err != nil {
		s.t.Fatal("PgBouncer is not installed: run scripts/setup-test.sh")
	}
	port := testport.Free(s.t)
	file := filepath.Join(s.folder, "pgbouncer.ini")
	users := filepath.Join(s.folder, "users.txt")
	text := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
`, s.Port, port, users)
	for name, content := range map[string]string{file: text, users: "\"postgres\" \"\"\n"} {
		//nolint:gosec // it holds no secret and another user reads it
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	cmd := exec.Command(path, "-q", file) //nolint:noctx,gosec // the cleanup ends it; the path is fixed
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
	})
	dsn := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable&connect_timeout=5", port)
	for deadline := time.Now().Add(startTime); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
		c, err := pgx.Connect(ctx, dsn)
		if err == nil {
			err = c.Close(ctx)
		}
		cancel()
		if err == nil {
			return dsn
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("PgBouncer does not answer: %v", err)
		}
	}
}
