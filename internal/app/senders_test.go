package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
)

// living is a sender with a life of its own that ends, and then panics, before it stays.
type living struct {
	channel.Sender
	runs  atomic.Int32
	ended atomic.Bool
}

func (l *living) Run(ctx context.Context, _ func(channel.Receipt)) error {
	switch l.runs.Add(1) {
	case 1:
		return errors.New("planted")
	case 2:
		panic("planted")
	}
	<-ctx.Done()
	l.ended.Store(true)
	return nil
}

// TestSendersAreKeptRunning: one that ends or panics is run again, and a stop waits for its end.
func TestSendersAreKeptRunning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &living{}
		n := &Node{
			log:    slog.New(slog.DiscardHandler),
			routes: deliver.NewRoutes([]*deliver.Route{{Name: "a", Sender: magicSender{l}}, {Name: "b", Sender: nobody{}}}),
		}
		c := n.hire(n.routes.All())
		time.Sleep(3 * pauseOfSender)
		synctest.Wait()
		if got := l.runs.Load(); got != 3 || l.ended.Load() {
			t.Errorf("%d runs, ended %t", got, l.ended.Load())
		}
		if c.dismiss(); !l.ended.Load() {
			t.Error("dismissed before its end")
		}
	})
}
