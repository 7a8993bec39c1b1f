package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// channelName is where nodes tell each other that tenants have changed. The note is a hint: who misses it sees the
// version grow at the next look.
const (
	sqlListen = `LISTEN dialproof`
	sqlNotify = `SELECT pg_notify('dialproof', 'tenants')`
)

// listenAgain is how long a broken connection waits before it is made again.
const listenAgain = time.Second

// listen waits for news on a connection of its own.
func (e *Engine) listen() {
	dsn := e.o.DSN
	if e.o.ListenDSN != "" {
		dsn = e.o.ListenDSN
	} else if e.o.Pooler {
		return // a pooler in transaction mode passes no notes on
	}
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		e.o.Log.Error("the store's listen_dsn is not a connection string of PostgreSQL")
		return
	}
	direct(cfg)
	e.guard(cfg)
	for e.ctx.Err() == nil {
		err := e.hear(cfg)
		e.o.Log.Debug("listening to the database was interrupted", "error", err)
		select {
		case <-e.ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

// hear listens until the connection breaks. Whatever was missed before counts as one note.
func (e *Engine) hear(cfg *pgx.ConnConfig) error {
	c, err := pgx.ConnectConfig(e.ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), time.Second)
		defer cancel()
		_ = c.Close(ctx)
	}()
	if _, err := c.Exec(e.ctx, sqlListen); err != nil {
		return err
	}
	for {
		select {
		case e.changed <- struct{}{}:
		default:
		}
		if _, err := c.WaitForNotification(e.ctx); err != nil {
			return err
		}
	}
}
