package postgres_test

import (
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/storetest"
)

// TestPatroni runs a store on the fenced set-up of docs/operations.md. The primary dies with its agent, another server
// takes over, and the old one comes back. In the long form, the machine of the primary then stands still, and wakes up
// when another one has taken over. Nothing acknowledged is gone, and a server that comes back follows. A node that
// knows nothing and reaches the old primary alone gets no commit from it.
func TestPatroni(t *testing.T) {
	t.Parallel()
	p := pgtest.StartPatroni(t, 2)
	o := postgres.Options{
		DSN:         hosts(t, p.Servers[0].DSN("postgres"), p.Servers[1].DSN("postgres")),
		Migrate:     true,
		Connections: 8,
		Lanes:       2,
		Timeout:     2 * time.Second,
	}
	db := opened(t, o)
	load := storetest.NewLoad(t, db)
	load.Run(t, 20, 4)
	signals := []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP}
	if os.Getenv("DIALPROOF_SOAK") == "" {
		signals = signals[:1] // each failover takes a quarter of a minute
	}
	for _, sig := range signals {
		before := p.Leader()
		var all sync.WaitGroup
		all.Go(func() { load.Run(t, 40, 8) })
		time.Sleep(30 * time.Millisecond) // somewhere in the middle
		p.Signal(before, sig)
		after := p.Leader(before)
		all.Wait()
		if sig == syscall.SIGSTOP {
			p.Signal(before, syscall.SIGCONT)
			alone := o
			alone.DSN, alone.Timeout = p.Servers[before].DSN("postgres"), time.Second
			if db, err := postgres.Open(t.Context(), alone); err == nil {
				t.Errorf("the old primary has taken a commit: %v", db.Close())
			}
		} else {
			p.Run(before)
		}
		p.Follows(before)
		if got := p.Leader(); got != after {
			t.Errorf("server %d leads, want %d", got, after)
		}
		had := load.Outcomes()["start ok"]
		load.Run(t, 20, 4)
		if got := load.Outcomes()["start ok"]; got != had+20 {
			t.Errorf("after signal %d: %d of 20 starts", sig, got-had)
		}
	}
	only(t, load.Outcomes(), "ok", "store_unavailable", "busy")
	load.Judge(t, db)
}
