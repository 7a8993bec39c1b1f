// Package sip is the provider that calls people over the operator's own SIP trunk and speaks the code.
//
// It makes outbound calls only: it is not a telephone and takes no calls. The code and the sentences around it are
// recordings; the brand and payments are spoken by espeak-ng where that is installed. A mailbox hears no code, because
// somebody has to press 1 first.
package sip

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/sip/prompts"
	"github.com/dialproof/dialproof/internal/channel/sip/speech"
)

const name = "sip"

// startWait is how long a call waits for Run to have come up, since a node's jobs may begin before its senders do.
const startWait = 2 * time.Second

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "SIP trunk",
		Summary:  "Voice calls over your own SIP trunk or telephone exchange.",
		Docs:     "https://www.rfc-editor.org/rfc/rfc3261",
		Channels: []channel.Kind{channel.Voice},
		Config:   func() channel.Opener { return defaults() },
	}
}

// sender is a route over a trunk. It calls only while Run runs.
type sender struct {
	cfg  Config
	log  *slog.Logger
	now  func() time.Time
	book *prompts.Book
	// speaker says what no recording can; nil: there is none.
	speaker *speech.Speaker
	tls     *tls.Config
	lines   chan struct{} // one place for each call
	// frame is the time between two packets of sound: 20 ms, less in tests.
	frame time.Duration

	mu    sync.Mutex
	trunk *trunk
	up    chan struct{} // closed when trunk is set
}

var (
	_ channel.Sender     = (*sender)(nil)
	_ channel.Runner     = (*sender)(nil)
	_ channel.Checker    = (*sender)(nil)
	_ channel.Correlator = (*sender)(nil)
	_ channel.Linguist   = (*sender)(nil)
)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return []channel.Kind{channel.Voice} }

// ReceiptsByID implements channel.Correlator: what became of a call is told with its Call-ID.
func (*sender) ReceiptsByID() bool { return true }

// Send implements channel.Sender. It answers when the phone rings or is picked up; until then another route may still
// take over. A phone that is busy or switched off is an accepted call too, whose receipt says so at once: another
// route would reach the same phone. The rest of the call goes on under Run.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	p, err := s.plan(ctx, m)
	if err != nil {
		return channel.Accepted{}, err
	}
	t, err := s.running(ctx)
	if err != nil {
		return channel.Accepted{}, err
	}
	if err := t.usable(ctx); err != nil {
		return channel.Accepted{}, err
	}
	select {
	case s.lines <- struct{}{}:
	default:
		return channel.Accepted{}, &channel.Error{
			Kind:       channel.Throttled,
			Provider:   name,
			Code:       "max_calls",
			Detail:     "all lines of max_calls are in use",
			RetryAfter: lineWait,
		}
	}
	took := make(chan error, 1)
	c := newCall(t, p)
	if !t.begin(func() { defer func() { <-s.lines }(); c.run(ctx, took) }) {
		<-s.lines
		return channel.Accepted{}, stopping()
	}
	if err := <-took; err != nil {
		return channel.Accepted{}, err
	}
	return channel.Accepted{ID: c.id}, nil
}

// lineWait is how long a message waits for a free line: a call lasts half a minute as a rule.
const lineWait = 10 * time.Second

// running returns the trunk, and waits a moment for Run to have set it up.
func (s *sender) running(ctx context.Context) (*trunk, error) {
	wait, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	select {
	case <-up:
	case <-wait.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trunk == nil {
		return nil, &channel.Error{
			Kind:     channel.Unavailable,
			Provider: name,
			Code:     "not_running",
			Detail:   "the trunk is not set up: see the log for why, if it stays so",
		}
	}
	return s.trunk, nil
}

func stopping() *channel.Error {
	return &channel.Error{Kind: channel.Unavailable, Provider: name, Code: "stopping", Detail: "the node is stopping"}
}

// retryStart is how long Run waits before it tries again to open its socket or to find the server.
const retryStart = 5 * time.Second

// Run implements channel.Runner: it owns the sockets, the registration and all calls. When ctx ends, it hangs up.
func (s *sender) Run(ctx context.Context, sink func(channel.Receipt)) error {
	for ctx.Err() == nil {
		t, err := open(ctx, s, s.cfg.listen(), sink)
		if err != nil {
			e := channel.AsError(name, err)
			s.log.Error("the trunk cannot be set up and will be tried again", "code", e.Code, "detail", e.Detail)
			pause(ctx, retryStart)
			continue
		}
		t.register(ctx)
		s.announce(t)
		<-ctx.Done()
		s.announce(nil)
		t.close(context.WithoutCancel(ctx))
	}
	return nil
}

// announce lets calls use the trunk, or with nil no longer.
func (s *sender) announce(t *trunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trunk = t
	if t == nil {
		s.up = make(chan struct{})
		return
	}
	close(s.up)
}

// Check implements channel.Checker. With register it asks the registrar for what is registered, which proves the
// password and changes nothing; else it sends OPTIONS. Either goes out from a socket of its own.
func (s *sender) Check(ctx context.Context) error {
	listen := s.cfg.listen()
	t, err := open(ctx, s, portless(listen), func(channel.Receipt) {})
	if err != nil {
		return err
	}
	defer t.close(context.WithoutCancel(ctx))
	if s.cfg.Register {
		return t.bindings(ctx)
	}
	return t.options(ctx)
}

// pause waits, but not longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
