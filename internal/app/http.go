package app

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dialproof/dialproof/internal/api"
)

// api answers everything that the node serves; dev, if any, are the development pages.
func (n *Node) api(ctx context.Context, dev http.Handler) (http.Handler, error) {
	h, stop, err := traced(ctx, n.cfg.Tracing, api.New(api.Options{
		Core: n.core, Directory: n.directory, Callbacks: n.handler, Ready: n.ready, Log: n.log,
		Metrics: promhttp.HandlerFor(n.metrics.registry, promhttp.HandlerOpts{}), Dev: dev,
	}))
	if err != nil {
		return nil, err
	}
	n.onStop("tracing", func() error { return stop(context.WithoutCancel(ctx)) })
	return h, nil
}
