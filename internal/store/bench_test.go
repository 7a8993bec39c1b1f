package store_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/verify"
)

// nowhere is a router, a dispatcher and metrics that do nothing.
type nowhere struct{}

func (nowhere) Plan(phone.Number, channel.Kind, bool, string) (route, reason string, ok bool) {
	return "any", "priority", true
}
func (nowhere) Admit() bool                                           { return true }
func (nowhere) Dispatch(queue.Job)                                    {}
func (nowhere) Started(application.Application, channel.Kind, string) {}
func (nowhere) Checked(application.Application, verify.Result)        {}
func (nowhere) Limited(string)                                        {}

// BenchmarkStart is the core's part of a durable start, 64 at once, each with a new number.
func BenchmarkStart(b *testing.B) {
	db, err := store.Open(b.Context(), store.Options{Path: filepath.Join(b.TempDir(), "bench.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: keyring.NewSecret()}})
	if err != nil {
		b.Fatal(err)
	}
	ids := id.NewSource(id.ID{})
	s := verify.New(verify.Options{
		Store: db, Router: nowhere{}, Dispatch: nowhere{}, Ring: ring, IDs: ids, Now: time.Now, Limits: verify.DefaultLimits(), Metrics: nowhere{}, AllowFiction: true,
	})
	app := application.Application{ID: ids.New(time.Now()), Brand: "Shop"}
	who := application.Caller{App: app, Key: application.Key{App: app.ID, Mode: application.Live}}
	var n atomic.Int64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			k := n.Add(1)
			if _, err := s.Start(b.Context(), who, verify.StartRequest{To: fmt.Sprintf("+44770%07d", 1000000+k)}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
