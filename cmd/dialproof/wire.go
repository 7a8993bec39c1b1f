package main

import (
	"context"
	"io"

	"github.com/dialproof/dialproof/internal/app"
	"github.com/dialproof/dialproof/internal/config"
)

// wire returns the real thing.
func wire() wiring {
	return wiring{
		serve: app.Serve,
		dev: func(ctx context.Context, o devOptions) error {
			return app.Dev(ctx, app.DevOptions(o))
		},
		migrate:   app.Migrate,
		directory: app.OpenDirectory,
		webhooks:  app.OpenWebhooks,
		doctor:    app.Doctor,
		backup:    app.Backup,
		restore:   app.Restore,
		copy:      app.CopyStore,
		uncopy:    app.UncopyStore,
		check:     app.CheckStore,
		repair:    app.RepairStore,
		testRoute: func(ctx context.Context, cfg config.Config, t routeTest, out io.Writer) error {
			return app.TestRoute(ctx, cfg, app.RouteTest(t), out)
		},
	}
}
