package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/all"
	"github.com/dialproof/dialproof/internal/channel/handset"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/web"
	"github.com/dialproof/dialproof/internal/yamlconf"
)

// openRoutes opens every route of the configuration.
func (n *Node) openRoutes(cfg config.Config, dev bool) ([]*deliver.Route, error) {
	providers := map[string]channel.Provider{}
	var names []string
	for _, p := range all.Providers(n.box) {
		providers[p.Name] = p
		names = append(names, p.Name)
	}
	client := outgoing()
	var out []*deliver.Route
	for _, r := range cfg.Routes {
		p, ok := providers[r.Provider]
		switch {
		case !ok:
			return nil,
				fmt.Errorf("route %s: there is no provider %q; there are %s", r.Name, r.Provider, strings.Join(names, ", "))
		case p.DevOnly && !dev && !cfg.AllowHandset:
			return nil, fmt.Errorf(
				"route %s: the provider %s is for development: whoever reaches the server can read its messages. Set "+
					"allow_handset: true if that is what you want", r.Name, r.Provider)
		}
		sender, err := n.openRoute(cfg, r, p, client)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
		made, err := route(r, sender, dev)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
		out = append(out, made)
	}
	return append(out, testRoute()), nil
}

// openRoute opens the provider of one route.
func (n *Node) openRoute(cfg config.Config, r config.Route, p channel.Provider,
	client *http.Client) (channel.Sender, error) {
	settings := p.Config()
	if err := yamlconf.Decode(&r.Settings, settings, yamlconf.Options{}); err != nil {
		return nil, fmt.Errorf("settings:\n%w", err)
	}
	if err := settings.Validate(); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return settings.Open(channel.Env{
		Route:   r.Name,
		HTTP:    client,
		Log:     n.log.With("route", r.Name),
		Now:     time.Now,
		DataDir: filepath.Join(cfg.Data, "routes", r.Name),
	})
}

// route returns a route as deliver wants it.
func route(r config.Route, sender channel.Sender, dev bool) (*deliver.Route, error) {
	out := &deliver.Route{
		Name:       r.Name,
		Provider:   r.Provider,
		Sender:     magicSender{sender},
		Countries:  r.Countries,
		Prefixes:   r.Prefixes,
		From:       r.Sender,
		FromBy:     r.Senders,
		Priority:   r.Priority,
		Weight:     r.Weight,
		Test:       r.Test,
		Both:       dev,
		Quiet:      r.Quiet,
		Timeout:    r.Timeout,
		Slots:      make(chan struct{}, max(r.Concurrency, 1)),
		Regulatory: r.Regulatory,
		Price:      map[string]int64{},
		Health:     deliver.NewHealth(time.Now),
	}
	for i, g := range r.Registered {
		text, err := message.ParseRegistered(g.Text)
		if err != nil {
			return nil, fmt.Errorf("registered[%d].text: %w", i, err)
		}
		out.Registered = append(out.Registered, deliver.Registered{ID: g.TemplateID, Countries: g.Countries, Text: text})
	}
	for country, text := range r.Price {
		out.Price[country] = priceOf(text)
	}
	for _, c := range r.Channels {
		out.Channels = append(out.Channels, channel.Kind(c))
	}
	if out.Timeout <= 0 {
		out.Timeout = config.DefaultTimeout
	}
	if r.Concurrency <= 0 {
		out.Slots = make(chan struct{}, config.DefaultConcurrency)
	}
	if r.Rate > 0 {
		out.Rate = rate.NewLimiter(rate.Limit(r.Rate), max(int(r.Rate), 1))
	}
	return out, nil
}

// priceOf reads a price, which the configuration has judged, in hundred-millionths.
func priceOf(text string) int64 {
	whole, part, _ := strings.Cut(text, ".")
	n, _ := strconv.ParseInt(whole+(part + "00000000")[:8], 10, 64)
	return n
}

// testRoute is the last way out for test keys, where a deployment has no test route of its own: it takes every
// message and reaches nobody.
func testRoute() *deliver.Route {
	return &deliver.Route{
		Name: "test", Provider: "test", Sender: magicSender{nobody{}}, Spare: true, Test: true, Timeout: time.Second,
		Slots: make(chan struct{}, 1024),
	}
}

// nobody is a sender that reaches nobody.
type nobody struct{}

// Channels implements channel.Sender.
func (nobody) Channels() []channel.Kind { return channel.Kinds() }

// Send implements channel.Sender.
func (nobody) Send(_ context.Context, m channel.Message) (channel.Accepted, error) {
	return channel.Accepted{ID: m.Delivery, Parts: m.Text.Parts, Status: channel.Delivered}, nil
}

// magicSender lets the numbers that stand for a fate have it. They are reserved for fiction, so no real route
// loses anything.
type magicSender struct{ channel.Sender }

// Unwrap lets channel.As see the sender's other powers.
func (s magicSender) Unwrap() channel.Sender { return s.Sender }

// Send implements channel.Sender.
func (s magicSender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	a, err := s.Sender.Send(ctx, m)
	if err == nil && m.To.Fiction() && verify.MagicNumbers()[m.To.E164()] == verify.MagicUndelivered {
		a.Status = channel.Undelivered
	}
	return a, err
}

// outgoing is the one client for all calls to providers. It follows no redirect: a provider that moves is a
// configuration to mend, and a secret must not follow it to another host.
func outgoing() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               proxy(os.Getenv),
			DisableCompression:  true, // answers are a few hundred bytes
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			MaxIdleConns:        512,
			MaxIdleConnsPerHost: 256,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 5 * time.Second,
			ForceAttemptHTTP2:   true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// proxy returns which proxy leads to providers; nil for none. Without one in the environment, nobody asks for each
// message.
func proxy(env func(string) string) func(*http.Request) (*url.URL, error) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		if env(name) != "" {
			return http.ProxyFromEnvironment
		}
	}
	return nil
}

// inbox shows the handset's box to its page.
type inbox struct{ box *handset.Box }

// List implements web.Inbox.
func (i inbox) List(to string, limit int) []web.Message {
	var out []web.Message
	for _, m := range i.box.List(to, limit) {
		out = append(out, web.Message(m))
	}
	return out
}

// Subscribe implements web.Inbox.
func (i inbox) Subscribe() (<-chan web.Message, func()) {
	in, stop := i.box.Subscribe()
	out, done := make(chan web.Message), make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case m := <-in:
				select {
				case out <- web.Message(m):
				case <-done:
					return
				}
			}
		}
	}()
	return out, func() { stop(); close(done) }
}
