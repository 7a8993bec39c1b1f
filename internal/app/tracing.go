package app

import (
	"context"
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/dialproof/dialproof/internal/config"
)

// traced wraps h so that a share of its requests is traced, and answers how to end the tracing. Without an endpoint
// it answers h itself: tracing that is off costs nothing.
func traced(ctx context.Context, c config.Tracing, h http.Handler) (http.Handler, func(context.Context) error, error) {
	if c.Endpoint == "" {
		return h, func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.Endpoint))
	if err != nil {
		return nil, nil, fmt.Errorf("tracing: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sample))),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "dialproof"))),
	)
	t := &tracer{next: h, tracer: provider.Tracer("dialproof")}
	return t, provider.Shutdown, nil
}

// tracer makes one span of each request. A span carries the method, the route's pattern and the status: paths,
// queries and bodies hold ids and numbers and are left out.
type tracer struct {
	next   http.Handler
	tracer trace.Tracer
}

// ServeHTTP implements http.Handler.
func (t *tracer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", r.Method)))
	defer span.End()
	t.next.ServeHTTP(w, r.WithContext(ctx))
}

// describe says in the request's span, if it has one, what became of it.
func describe(ctx context.Context, pattern string, status int) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("http.route", pattern), attribute.Int("http.response.status_code", status))
	if pattern != "" {
		span.SetName(pattern)
	}
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}
