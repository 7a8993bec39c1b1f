package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/webhook"
)

// wiring is what the commands need of internal/app, as fields, so that a test of the command line need not start
// a server.
type wiring struct {
	serve   func(context.Context, config.Config, *slog.Logger, <-chan config.Config) error
	dev     func(context.Context, devOptions) error
	migrate func(context.Context, config.Config) error
	// directory opens the tenants of a store; the second answer closes it.
	directory func(context.Context, config.Config) (*application.Directory, func() error, error)
	backup    func(ctx context.Context, cfg config.Config, file string) error
	restore   func(ctx context.Context, cfg config.Config, file string) (before string, err error)
	copy      func(ctx context.Context, from, to config.Config, final bool, out io.Writer) error
	uncopy    func(context.Context, config.Config) error
	check     func(context.Context, config.Config) error
	repair    func(context.Context, config.Config, io.Writer) error
	// webhooks opens the endpoints and tenants of a store; the third answer closes it.
	webhooks  func(context.Context, config.Config) (*webhook.Directory, *application.Directory, func() error, error)
	testRoute func(context.Context, config.Config, routeTest, io.Writer) error
	doctor    func(context.Context, config.Config, io.Writer) (ok bool, err error)
}

// routeTest is what route test needs.
type routeTest struct {
	Route, To string
	Channel   string
	Email     string
	Wait      time.Duration
}

// devOptions is what dev needs.
type devOptions struct {
	Listen string
	Data   string
	Out    io.Writer
	Log    *slog.Logger
}
