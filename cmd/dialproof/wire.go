package main

import (
	"context"

	"github.com/dialproof/dialproof/internal/app"
)

// wire answers the real thing.
func wire() wiring {
	return wiring{
		serve: app.Serve,
		dev: func(ctx context.Context, o devOptions) error {
			return app.Dev(ctx, app.DevOptions(o))
		},
		migrate:   app.Migrate,
		directory: app.OpenDirectory,
		doctor:    app.Doctor,
	}
}
