package app

import (
	"context"
	"net/http"
	"net/http/pprof"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dialproof/dialproof/internal/api"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/docs"
	"github.com/dialproof/dialproof/internal/link"
	"github.com/dialproof/dialproof/internal/logging"
	"github.com/dialproof/dialproof/internal/proof"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/web"
)

// api returns everything that the node serves; dev, if any, are the development pages, and key is the development key.
func (n *Node) api(ctx context.Context, dev http.Handler, key string) (http.Handler, error) {
	metrics := promhttp.HandlerFor(n.metrics.registry, promhttp.HandlerOpts{ErrorLog: logging.Foreign(n.log, "metrics")})
	o := api.Options{
		Core:      n.core,
		Directory: n.directory,
		Webhooks:  n.webhooks,
		Callbacks: n.handler,
		Ready:     n.ready,
		Log:       n.log,
		Now:       n.store.Now,
		IDs:       n.ids,
		PublicURL: n.cfg.PublicURL,
		Dev:       dev,
		Docs:      docs.Handler(docs.Options{DevKey: key}),
		Prover:    proof.Signer{Ring: n.ring, Issuer: n.cfg.PublicURL},
		Observe:   n.observer(),
	}
	n.gate = api.NewGate(api.GateOptions{
		Log:     n.log,
		IDs:     n.ids,
		Now:     n.store.Now,
		Waiting: func() int { return n.runner.Ready(verify.JobKind) },
		Leaving: n.leaving.now.Load,
		Refused: n.metrics.Refused(),
	})
	o.Gate = n.gate
	var err error
	if o.Links, o.Pages, err = n.pages(o.Prover); err != nil {
		return nil, err
	}
	if n.cfg.Metrics.Listen == "" {
		o.Metrics = metrics
	} else if err := n.serveMetrics(ctx, metrics); err != nil {
		return nil, err
	}
	h, stop, err := traced(ctx, n.cfg.Tracing, n.parting(api.New(o)))
	if err != nil {
		return nil, err
	}
	n.onStop("tracing", func() error { return stop(context.WithoutCancel(ctx)) })
	return h, nil
}

// observer is told of each request.
func (n *Node) observer() func(context.Context, string, int, time.Duration) {
	if n.cfg.Tracing.Endpoint == "" {
		return func(_ context.Context, pattern string, status int, took time.Duration) {
			n.metrics.Request(pattern, status, took)
		}
	}
	return func(ctx context.Context, pattern string, status int, took time.Duration) {
		n.metrics.Request(pattern, status, took)
		describe(ctx, pattern, status)
	}
}

// pages returns the hosted page, and what seals the links to it.
func (n *Node) pages(prover proof.Signer) (link.Sealer, http.Handler, error) {
	sealer := link.Sealer{Ring: n.ring}
	h, err := web.Page{
		Core:    n.core,
		Callers: n.directory,
		Links:   sealer,
		Prover:  prover,
		Log:     n.log,
		Now:     n.store.Now,
		Host:    publicHost(n.cfg),
		Proxies: n.cfg.Proxies(),
	}.Handler()
	return sealer, h, err
}

// publicHost returns the host under which people see the deployment; empty for none.
func publicHost(cfg config.Config) string {
	u, err := url.Parse(cfg.PublicURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// serveMetrics returns /metrics, and Go's profiles of the process under /debug/pprof/, on an address of its own,
// without a key.
func (n *Node) serveMetrics(ctx context.Context, h http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := api.Server(n.cfg.Metrics.Listen, mux, logging.Foreign(n.log, "metrics server"))
	listener, err := listen(ctx, n.cfg.Metrics.Listen)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	n.onStop("metrics", func() error { err := server.Close(); <-done; return err })
	return nil
}
