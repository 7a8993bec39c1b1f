package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"

	"github.com/dialproof/dialproof/internal/api"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/logging"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/sqlite"
)

// broken are errors that stores return, and what they are called.
func broken() map[string]error {
	return map[string]error{
		"the disk is full": sqlite3.FULL,
		"the file or its file system can only be read":  sqlite3.READONLY,
		"the disk reports an error":                     sqlite3.IOERR_FSYNC,
		"the disk of the database server is full":       &pgconn.PgError{Code: "53100"},
		"the database server can only be read":          &pgconn.PgError{Code: "25006"},
		"the database server has no connection left":    &pgconn.PgError{Code: "53300"},
		"the database server is starting or stopping":   &pgconn.PgError{Code: "57P03"},
		"the database server has closed the connection": &pgconn.PgError{Code: "57P01"},
		"the database server did not answer in time":    fmt.Errorf("timeout: %w", context.DeadlineExceeded),
		"the connection to the database server is":      &net.OpError{Op: "read", Err: syscall.ECONNRESET},
		"the store cannot be written":                   row.ErrDamaged,
		"cannot be written":                             errors.New("an error that nobody knows"),
	}
}

// explained is a store in memory whose commits fail, with the words of both engines.
type explained struct{ *memstore.Engine }

// Explain implements store.Explainer.
func (explained) Explain(err error) string {
	if text := sqlite.Explain(err); text != "" {
		return text
	}
	return postgres.Explain(err)
}

// TestErrorsAtTheDoor: whatever the store fails with, /readyz and the API say so with 503, a code and words, and tell
// nothing else of it.
func TestErrorsAtTheDoor(t *testing.T) {
	t.Parallel()
	for want, cause := range broken() {
		failing := false
		e := memstore.New(memstore.NewData(), memstore.Options{Fault: func(what string) memstore.Fault {
			return memstore.Fault{Before: failing && what == "commit", Err: cause}
		}})
		n := &Node{log: slog.New(slog.DiscardHandler), store: store.New(explained{e}, nil)}
		h := api.New(api.Options{Ready: n.ready, Log: n.log})
		answer := func() (int, string) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			return w.Code, w.Body.String()
		}
		if status, body := answer(); status != http.StatusOK {
			t.Errorf("%s: before: %d %s", want, status, body)
		}
		failing = true
		if err := n.store.SetMark(t.Context(), "x", 1); !unusable(err) || !errors.Is(err, cause) {
			t.Errorf("%s: a write failed with %v", want, err)
		}
		status, body := answer()
		var p struct{ Code, Detail string }
		if err := json.Unmarshal([]byte(body), &p); err != nil || status != http.StatusServiceUnavailable ||
			p.Code != "store_unavailable" || !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %d %s", want, status, body)
		}
		failing = false
		if err := n.store.Close(); err != nil {
			t.Error(err)
		}
		if status, body := answer(); status != http.StatusServiceUnavailable && status != http.StatusOK {
			t.Errorf("%s: a closed store: %d %s", want, status, body)
		}
		n.leaving.now.Store(true)
		if status, body := answer(); status != http.StatusServiceUnavailable || !strings.Contains(body, `"stopping"`) {
			t.Errorf("%s: a node that stops: %d %s", want, status, body)
		}
	}
}

// TestWhatPasses: serve waits for what may pass by itself, and ends for the rest.
func TestWhatPasses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		driver string
		err    error
		want   bool
	}{
		"disk full":           {config.SQLite, fmt.Errorf("store: %w", sqlite3.FULL), true},
		"no room for a file":  {config.SQLite, &fs.PathError{Op: "write", Err: syscall.ENOSPC}, true},
		"newer schema":        {config.SQLite, fmt.Errorf("store: %w", sqlite.ErrSchema), false},
		"moved":               {config.SQLite, sqlite.ErrMoved, false},
		"another process":     {config.SQLite, fmt.Errorf("another Dialproof: %w", sqlite3.BUSY), false},
		"not a database":      {config.SQLite, sqlite3.NOTADB, false},
		"server is starting":  {config.Postgres, &pgconn.PgError{Code: "57P03"}, true},
		"a replica":           {config.Postgres, &pgconn.PgError{Code: "25006"}, true},
		"refused":             {config.Postgres, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		"no such database":    {config.Postgres, &pgconn.PgError{Code: "3D000"}, false},
		"wrong password":      {config.Postgres, &pgconn.PgError{Code: "28P01"}, false},
		"no connection words": {config.Postgres, errors.New("store.dsn is not a connection string of PostgreSQL"), false},
	} {
		var cfg config.Config
		cfg.Store.Driver = c.driver
		if got := passing(cfg, c.err); got != c.want {
			t.Errorf("%s: passes %t, want %t", name, got, c.want)
		}
	}
}

// TestStandInHandsItsListenerOver: a connection that is made while the stand-in goes is answered by what comes after
// it.
func TestStandInHandsItsListenerOver(t *testing.T) {
	t.Parallel()
	l, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := standIn(l, config.Default(), logging.Foreign(slog.New(slog.DiscardHandler), "test"))
	get := func() int {
		resp, err := http.Get("http://" + l.Addr().String() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for range 3 {
		if got := get(); got != http.StatusServiceUnavailable {
			t.Errorf("the stand-in answers %d", got)
		}
	}
	s.stop(t.Context())
	got := make(chan int)
	go func() { got <- get() }()
	server := api.Server("",
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), nil)
	go server.Serve(l)
	defer server.Close()
	if got := <-got; got != http.StatusTeapot {
		t.Errorf("the node answers %d", got)
	}
}

// TestServeStopsWhileItWaits: who is told to end while there is no store ends.
func TestServeStopsWhileItWaits(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Listen, cfg.Data, cfg.Store.Driver = "127.0.0.1:0", t.TempDir(), config.Postgres
	cfg.Store.DSN.UnmarshalText([]byte("postgres://x@127.0.0.1:1/x?sslmode=disable"))
	r, err := keyring.New([]keyring.Key{{ID: 1, Secret: keyring.NewSecret()}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := listen(t.Context(), cfg.Listen)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := await(ctx, cfg, slog.New(slog.DiscardHandler), l, options{ring: r}); n != nil || err != nil {
		t.Errorf("%v, %v", n, err)
	}
}
