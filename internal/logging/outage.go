package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Times of an outage.
const (
	// quiet is how long nothing must have failed before the end of an outage is looked for.
	quiet = 2 * time.Second
	// remind is how often an outage that goes on is told again.
	remind = time.Minute
)

// maxKinds bounds how many kinds of lines an outage counts apart.
const maxKinds = 32

// Outage tells of a dependency that fails: one line when that begins, one a minute while it lasts, and one when it is
// over, with the counts of what failed between. Lines of its Logger that carry an error of the dependency are counted
// and not written, but at the level DEBUG. It is safe for many goroutines.
type Outage struct {
	next slog.Handler
	ours func(error) bool
	now  func() time.Time

	mu     sync.Mutex
	since  time.Time // when it began; zero: there is none
	last   time.Time // when something last failed
	told   time.Time // when a line was last written
	writes int
	lines  map[string]int
}

// NewOutage returns an Outage whose lines go to h. ours reports whether an error is one of the dependency.
func NewOutage(h slog.Handler, ours func(error) bool) *Outage {
	return &Outage{next: h, ours: ours, now: time.Now, lines: map[string]int{}}
}

// Logger returns the logger that leaves the dependency's errors to the outage.
func (o *Outage) Logger() *slog.Logger { return slog.New(folding{o.next, o}) }

// Failed tells that n writes have failed together.
func (o *Outage) Failed(n int, err error) { o.fail(err, "", n) }

// fail counts a failure: n writes, or a line that is not written.
func (o *Outage) fail(err error, line string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	o.last = now
	o.writes += n
	if line != "" && (o.lines[line] > 0 || len(o.lines) < maxKinds) {
		o.lines[line]++
	}
	switch {
	case o.since.IsZero():
		o.since, o.told = now, now
		o.say(slog.LevelError, "the store does not work: requests that need it are answered with 503", slog.Any("error", err))
	case now.Sub(o.told) >= remind:
		o.told = now
		o.say(slog.LevelError, "the store still does not work", append(o.counts(now), slog.Any("error", err))...)
	}
}

// counts is what failed since the outage began. The caller must hold o.mu.
func (o *Outage) counts(now time.Time) []slog.Attr {
	lines := make([]slog.Attr, 0, len(o.lines))
	for what, n := range o.lines {
		lines = append(lines, slog.Int(what, n))
	}
	return []slog.Attr{
		slog.String("since", o.since.UTC().Format(time.RFC3339)),
		slog.String("lasted", now.Sub(o.since).Round(time.Millisecond).String()), slog.Int("failed_writes", o.writes),
		slog.GroupAttrs("failures", lines...),
	}
}

// say writes a line. The caller must hold o.mu.
func (o *Outage) say(level slog.Level, message string, attrs ...slog.Attr) {
	//nolint:forbidigo,sloglint // no request is behind it; the messages are constants of this file
	slog.New(o.next).LogAttrs(context.Background(), level, message, attrs...)
}

// Look asks whether an outage is over, once nothing has failed for two seconds. Call it about once a second; without an
// outage it does nothing.
func (o *Outage) Look(ctx context.Context, works func(context.Context) error) {
	if !o.quiet() || works(ctx) != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if o.since.IsZero() || now.Sub(o.last) < quiet { // something else has failed meanwhile
		return
	}
	o.say(slog.LevelWarn, "the store works again", o.counts(now)...)
	o.since, o.writes = time.Time{}, 0
	clear(o.lines)
}

// quiet reports whether there is an outage in which nothing has failed for a while.
func (o *Outage) quiet() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero() && o.now().Sub(o.last) >= quiet
}

// folding is the handler of an outage's logger.
type folding struct {
	slog.Handler
	o *Outage
}

// Handle implements slog.Handler.
func (f folding) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return f.Handler.Handle(ctx, r)
	}
	err := f.o.find(r)
	if err == nil {
		return f.Handler.Handle(ctx, r)
	}
	f.o.fail(err, r.Message, 0)
	if r.Level = slog.LevelDebug; !f.Enabled(ctx, r.Level) {
		return nil
	}
	return f.Handler.Handle(ctx, r)
}

// find returns the dependency's error that a line carries, or nil.
func (o *Outage) find(r slog.Record) (found error) {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && o.ours(err) {
			found = err
		}
		return found == nil
	})
	return found
}

// WithAttrs implements slog.Handler.
func (f folding) WithAttrs(attrs []slog.Attr) slog.Handler {
	return folding{f.Handler.WithAttrs(attrs), f.o}
}

// WithGroup implements slog.Handler.
func (f folding) WithGroup(name string) slog.Handler { return folding{f.Handler.WithGroup(name), f.o} }
