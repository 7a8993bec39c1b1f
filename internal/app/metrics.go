package app

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

// metrics are what an operator watches. No label holds a number, a code or an id that grows without bound.
type metrics struct {
	registry   *prometheus.Registry
	started    *prometheus.CounterVec
	checked    *prometheus.CounterVec
	limited    *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	failures   *prometheus.CounterVec
	accepted   *prometheus.HistogramVec
	requests   *prometheus.HistogramVec
	open       prometheus.Gauge
	overdue    prometheus.Gauge
	unaccepted prometheus.Gauge
	batch      prometheus.Histogram
	commit     prometheus.Histogram
	retried    prometheus.Counter
	webhooks   *prometheus.CounterVec
	events     prometheus.Gauge
	lateEvents prometheus.Gauge

	mu       sync.RWMutex
	answered map[answer]prometheus.Observer // the series of requests that are known
}

// answer is what a request is counted by.
type answer struct {
	pattern string
	status  int
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "dialproof", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "dialproof", Name: name, Help: help})
	}
	m := &metrics{
		registry:   prometheus.NewRegistry(),
		started:    counter("verifications_started_total", "Verifications started.", "application", "channel", "country"),
		checked:    counter("checks_total", "Codes submitted, by result.", "application", "result"),
		limited:    counter("limits_hit_total", "Requests refused by a velocity limit, by limit.", "limit"),
		deliveries: counter("deliveries_total", "Deliveries that reached a status.", "route", "channel", "status"),
		failures:   counter("send_failures_total", "Calls to providers that failed, by kind.", "route", "kind"),
		accepted: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "dialproof",
			Name:      "accept_seconds",
			Help:      "Time from the start or resend until the provider took the message.",
			Buckets:   []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 30, 60},
		}, []string{"route", "channel"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "dialproof", Name: "http_request_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
		}, []string{"route", "status"}),
		open:       gauge("queue_open_jobs", "Jobs that are waiting or running."),
		overdue:    gauge("queue_oldest_overdue_seconds", "How long the job that has been due for longest has been due."),
		unaccepted: gauge("queue_oldest_unaccepted_seconds", "Age of the oldest message that no provider has accepted."),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "dialproof",
			Name:      "store_commit_batch",
			Help:      "Writes that shared one commit.",
			Buckets:   prometheus.ExponentialBuckets(1, 2, 9),
		}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "dialproof",
			Name:      "store_commit_seconds",
			Help:      "Time of one commit.",
			Buckets:   prometheus.ExponentialBuckets(.0001, 2, 14),
		}),
		retried: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "dialproof",
			Name:      "store_retries_total",
			Help:      "Commits run again: another node was in the way, or the connection was lost.",
		}),
	}
	m.answered = map[answer]prometheus.Observer{}
	m.webhooks = counter("webhook_attempts_total", "Attempts to bring an event to an endpoint, by result.", "result")
	m.events = gauge("webhook_open_events", "Events that wait for an endpoint that is enabled.")
	m.lateEvents = gauge("webhook_oldest_overdue_seconds", "Age of the oldest event that is overdue.")
	m.registry.MustRegister(m.webhooks, m.events, m.lateEvents, m.started, m.checked, m.limited, m.deliveries, m.failures,
		m.accepted, m.requests, m.open, m.overdue, m.unaccepted, m.batch, m.commit, m.retried, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Request is told of each HTTP request.
func (m *metrics) Request(pattern string, status int, took time.Duration) {
	k := answer{pattern, status}
	m.mu.RLock()
	series := m.answered[k]
	m.mu.RUnlock()
	if series == nil {
		series = m.requests.WithLabelValues(pattern, strconv.Itoa(status))
		m.mu.Lock()
		m.answered[k] = series // patterns are the routes', so they are few
		m.mu.Unlock()
	}
	series.Observe(took.Seconds())
}

// Refused returns what counts the requests that were refused before they were read. Such an answer takes no time, and
// is too frequent to look its series up.
func (m *metrics) Refused() func() {
	series := m.requests.WithLabelValues(http.MethodPost+" /v1/verifications", strconv.Itoa(http.StatusServiceUnavailable))
	return func() { series.Observe(0) }
}

// Started implements verify.Metrics.
func (m *metrics) Started(a *application.Application, kind channel.Kind, country string) {
	m.started.WithLabelValues(a.Name, string(kind), country).Inc()
}

// Checked implements verify.Metrics.
func (m *metrics) Checked(a *application.Application, r verify.Result) {
	m.checked.WithLabelValues(a.Name, string(r)).Inc()
}

// Limited implements verify.Metrics.
func (m *metrics) Limited(name string) { m.limited.WithLabelValues(name).Inc() }

// Delivery implements deliver.Metrics.
func (m *metrics) Delivery(route string, kind channel.Kind, status channel.Status) {
	m.deliveries.WithLabelValues(route, string(kind), string(status)).Inc()
}

// Accepted implements deliver.Metrics.
func (m *metrics) Accepted(route string, kind channel.Kind, took time.Duration) {
	m.accepted.WithLabelValues(route, string(kind)).Observe(took.Seconds())
}

// Failed implements deliver.Metrics.
func (m *metrics) Failed(route string, kind channel.ErrorKind) {
	m.failures.WithLabelValues(route, string(kind)).Inc()
}

// Committed implements store.Observer.
func (m *metrics) Committed(batch int, took time.Duration) {
	m.batch.Observe(float64(batch))
	m.commit.Observe(took.Seconds())
}

// Retried implements store.Observer.
func (m *metrics) Retried() { m.retried.Inc() }

// Webhook implements webhook.Metrics.
func (m *metrics) Webhook(result string) { m.webhooks.WithLabelValues(result).Inc() }

// Events is told how many events wait, and since when the oldest is overdue.
func (m *metrics) Events(d queue.Depth) {
	m.events.Set(float64(d.Open))
	m.lateEvents.Set(d.Overdue.Seconds())
}

// Queue is told how full the queue is.
func (m *metrics) Queue(d queue.Depth) {
	m.open.Set(float64(d.Open))
	m.overdue.Set(d.Overdue.Seconds())
	m.unaccepted.Set(max(d.Oldest[verify.JobKind], d.Oldest[deliver.RetryKind]).Seconds())
}

// ways are what is to be known of the routes, read when somebody asks.
type ways struct {
	handler          *deliver.Handler
	waiting, healthy *prometheus.Desc
}

// watchRoutes adds them to the metrics.
func (m *metrics) watchRoutes(h *deliver.Handler) {
	route := []string{"route"}
	m.registry.MustRegister(ways{
		h,
		prometheus.NewDesc("dialproof_route_waiting_messages",
			"Messages that wait on this node because their route makes as many calls as it may.", route, nil),
		prometheus.NewDesc("dialproof_route_healthy",
			"Whether the route is well on this node: 1, or 0 while others go first.", route, nil),
	})
}

// Describe implements prometheus.Collector.
func (w ways) Describe(out chan<- *prometheus.Desc) { out <- w.waiting; out <- w.healthy }

// Collect implements prometheus.Collector.
func (w ways) Collect(out chan<- prometheus.Metric) {
	for route, n := range w.handler.Waiting() {
		out <- prometheus.MustNewConstMetric(w.waiting, prometheus.GaugeValue, float64(n), route)
	}
	for route, why := range w.handler.Unwell() {
		healthy := 0.0
		if why == "" {
			healthy = 1
		}
		out <- prometheus.MustNewConstMetric(w.healthy, prometheus.GaugeValue, healthy, route)
	}
}
