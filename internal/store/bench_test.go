package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/verify"
)

// nowhere is a router, a dispatcher and metrics that do nothing.
type nowhere struct{}

func (nowhere) Plan(phone.Number, channel.Kind, bool, string) (route, reason string, ok bool) {
	return "any", "priority", true
}
func (nowhere) Admit() bool                                            { return true }
func (nowhere) Reserve() bool                                          { return true }
func (nowhere) Release()                                               {}
func (nowhere) Dispatch(queue.Job, *verify.Made)                       {}
func (nowhere) Started(*application.Application, channel.Kind, string) {}
func (nowhere) Checked(*application.Application, verify.Result)        {}
func (nowhere) Limited(string)                                         {}

// shop is a core on a fresh SQLite store.
type shop struct {
	*verify.Service
	db  *store.DB
	who application.Caller
	n   atomic.Int64
}

func newShop(b *testing.B) *shop {
	b.Helper()
	e, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return openShop(b, store.New(e, nil))
}

func openShop(b *testing.B, db *store.DB) *shop {
	b.Helper()
	b.Cleanup(func() { db.Close() })
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: keyring.NewSecret()}})
	if err != nil {
		b.Fatal(err)
	}
	ids := id.NewSource(id.ID{})
	app := application.Application{ID: ids.New(time.Now()), Brand: "Shop"}
	return &shop{
		Service: verify.New(verify.Options{
			Store:        db,
			Router:       nowhere{},
			Dispatch:     nowhere{},
			Ring:         ring,
			IDs:          ids,
			Now:          time.Now,
			Limits:       verify.DefaultLimits(),
			Metrics:      nowhere{},
			AllowFiction: true,
		}),
		db: db, who: application.Caller{App: &app, Key: &application.Key{App: app.ID, Mode: application.Live}},
	}
}

// start begins a verification of a new number.
func (s *shop) start(ctx context.Context) (*verify.Verification, error) {
	return s.Start(ctx, s.who,
		verify.StartRequest{To: fmt.Sprintf("+44770%07d", 1000000+s.n.Add(1)), Code: message.NewCode("123456")})
}

// accept records that a provider took the message, as deliver does.
func (s *shop) accept(ctx context.Context, v *verify.Verification) error {
	job := v.Deliveries[0].ID
	return s.db.Update(ctx, v.ID, job, func(tx deliver.Tx) error {
		if j, err := tx.Job(job); err != nil || j == nil {
			return fmt.Errorf("no job: %w", err)
		}
		p, err := tx.Parcel(v.ID)
		if err != nil {
			return err
		}
		p.Deliveries[0].Status, p.Deliveries[0].ProviderID = channel.Taken, job.Text(id.Delivery)
		tx.PutParcel(p)
		tx.DropJob(job)
		return nil
	})
}

// cycle is a start, its delivery and its check.
func (s *shop) cycle(ctx context.Context) error {
	v, err := s.start(ctx)
	if err != nil {
		return err
	}
	if err := s.accept(ctx, v); err != nil {
		return err
	}
	answer, err := s.Check(ctx, s.who, verify.CheckRequest{ID: v.ID, Code: "123456"})
	if err == nil && answer.Result != verify.ResultApproved {
		err = fmt.Errorf("the right code is %s", answer.Result)
	}
	return err
}

// BenchmarkStart is the core's part of a durable start, 64 at once, each with a new number.
func BenchmarkStart(b *testing.B) {
	s := newShop(b)
	parallel(b, func(ctx context.Context) error { _, err := s.start(ctx); return err })
}

// BenchmarkCycle is the core's part of a start, its delivery and its check.
func BenchmarkCycle(b *testing.B) {
	s := newShop(b)
	parallel(b, s.cycle)
}

// BenchmarkPhases is a cycle as people make it: its check comes long after its start, when many others have come
// between.
func BenchmarkPhases(b *testing.B) {
	s := newShop(b)
	begun := make(chan *verify.Verification, b.N)
	before := cpu(b)
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	phase := func(work func(context.Context) error) {
		var all sync.WaitGroup
		var n atomic.Int64
		for range 64 {
			all.Go(func() {
				for n.Add(1) <= int64(b.N) {
					if err := work(b.Context()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	}
	phase(func(ctx context.Context) error {
		v, err := s.start(ctx)
		if err != nil {
			return err
		}
		begun <- v
		return s.accept(ctx, v)
	})
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1e3/float64(b.N), "start-us/op")
	before = cpu(b)
	phase(func(ctx context.Context) error {
		_, err := s.Check(ctx, s.who, verify.CheckRequest{ID: (<-begun).ID, Code: "123456"})
		return err
	})
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1e3/float64(b.N), "check-us/op")
}

// BenchmarkCyclePostgres is the same on PostgreSQL, whose CPU is reported beside the node's.
func BenchmarkCyclePostgres(b *testing.B) {
	server := pgtest.Start(b, "fsync=on", "full_page_writes=on", "shared_buffers=256MB", "max_wal_size=4GB")
	count := &commits{}
	e, err := postgres.Open(b.Context(), postgres.Options{DSN: server.Fresh(), Migrate: true, Retried: count.Retried})
	if err != nil {
		b.Fatal(err)
	}
	s := openShop(b, store.New(e, count))
	before := server.CPU()
	parallel(b, s.cycle)
	b.ReportMetric(float64((server.CPU()-before).Microseconds())/float64(b.N), "server-cpu-us/op")
	b.ReportMetric(float64(count.work.Load())/float64(max(count.batches.Load(), 1)), "work/commit")
}

// commits counts them.
type commits struct{ batches, work atomic.Int64 }

func (c *commits) Committed(n int, _ time.Duration) { c.batches.Add(1); c.work.Add(int64(n)) }
func (c *commits) Uncommitted(int, error)           {}
func (c *commits) Retried()                         {}

// parallel runs work 64 times at once and reports what it costs in CPU, which a loaded machine changes less than the
// time.
func parallel(b *testing.B, work func(context.Context) error) {
	b.Helper()
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	before := cpu(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := work(b.Context()); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
