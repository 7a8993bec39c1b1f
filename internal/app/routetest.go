package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/handset"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/verify"
)

// RouteTest says what to send to try a route.
type RouteTest struct {
	// Route is its name in the configuration, To the number, in E.164.
	Route, To string
	// Channel is empty for the first that the route carries.
	Channel string
	// Email is the address for the channel email.
	Email string
	// Wait is how long to wait for a receipt where the route reports by itself.
	Wait time.Duration
}

// TestRoute sends one message with a code that opens nothing over one route, and says what the provider answers. It
// needs no store and no running server.
func TestRoute(ctx context.Context, cfg config.Config, t RouteTest, out io.Writer) (err error) {
	to, err := phone.Parse(t.To, "")
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	r, stop, err := openOne(cfg, t.Route)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if to.Fiction() && !r.Test && r.Provider != handsetName {
		return errors.New("--to: this number is reserved for fiction and reaches nobody: use your own")
	}
	m, err := sample(to, channel.Kind(cmp.Or(t.Channel, string(r.Sender.Channels()[0]))), r)
	if err != nil {
		return err
	}
	if m.Channel == channel.Email {
		var ok bool
		if m.Email, ok = verify.ParseEmail(t.Email); !ok {
			return errors.New("--email: the channel email needs your mail address")
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	receipts := make(chan channel.Receipt, 8)
	done := run(ctx, r.Sender, receipts)
	defer func() { cancel(); <-done }()
	return send(ctx, r, m, receipts, t.Wait, out)
}

const handsetName = "handset"

// openOne opens one route of the configuration and nothing else.
func openOne(cfg config.Config, name string) (r *deliver.Route, stop func() error, err error) {
	var names []string
	for _, c := range cfg.Routes {
		names = append(names, c.Name)
	}
	i := slices.Index(names, name)
	if i < 0 {
		return nil, nil,
			fmt.Errorf("there is no route %q in the configuration; there are: %s", name, strings.Join(names, ", "))
	}
	cfg.Routes = cfg.Routes[i : i+1]
	n := &Node{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	if cfg.Routes[0].Provider == handsetName {
		if n.box, err = handset.Open(cfg.Data); err != nil {
			return nil, nil, err
		}
		n.onStop("handset", n.box.Close)
	}
	routes, err := n.openRoutes(cfg, false)
	if err != nil {
		return nil, nil, errors.Join(err, n.Stop())
	}
	return routes[0], n.Stop, nil
}

// sample returns the message that is sent.
func sample(to phone.Number, kind channel.Kind, r *deliver.Route) (channel.Message, error) {
	if !kind.Valid() || !slices.Contains(r.Sender.Channels(), kind) {
		return channel.Message{}, fmt.Errorf("--channel: the route carries %v, not %q", r.Sender.Channels(), kind)
	}
	now := time.Now()
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return channel.Message{}, err
	}
	request := message.Request{
		Purpose:   "login",
		Country:   to.Country(),
		Brand:     "Dialproof",
		Code:      message.NewCode(fmt.Sprintf("%06d", n)),
		ExpiresIn: 5 * time.Minute,
	}
	m := channel.Message{
		Delivery:   id.NewSource(id.ID{}).New(now).Text(id.Delivery),
		Channel:    kind,
		To:         to,
		From:       cmp.Or(r.FromBy[to.Country()], r.From),
		Code:       request.Code,
		Brand:      request.Brand,
		Purpose:    request.Purpose,
		Locale:     message.Match("", to.Country()),
		ExpiresAt:  now.Add(5 * time.Minute),
		Token:      rand.Text(),
		Regulatory: r.Regulatory,
	}
	if kind == channel.Voice {
		m.Spoken, err = message.Speak(request)
		return m, err
	}
	m.Text, err = message.Render(request)
	return m, err
}

// run gives a sender that has a life of its own that life.
func run(ctx context.Context, s channel.Sender, receipts chan<- channel.Receipt) (done chan struct{}) {
	done = make(chan struct{})
	runner, ok := channel.As[channel.Runner](s)
	if !ok {
		close(receipts)
		close(done)
		return done
	}
	go func() {
		defer close(done)
		defer close(receipts)
		_ = runner.Run(ctx, func(r channel.Receipt) { // what it has to say, the send says
			select {
			case receipts <- r:
			default:
			}
		})
	}()
	return done
}

// send sends and tells what happens.
func send(ctx context.Context, r *deliver.Route, m channel.Message, receipts <-chan channel.Receipt, wait time.Duration,
	out io.Writer) error {
	begin := time.Now()
	call, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	a, err := r.Sender.Send(call, m)
	took := time.Since(begin).Round(time.Millisecond)
	if err != nil {
		e := channel.AsError(r.Provider, err)
		return fmt.Errorf("%s did not take the message after %s: %s: %w", r.Provider, took, e.Kind, advise(r, e))
	}
	fmt.Fprintf(out, "%s took the message after %s, as %q\n", r.Provider, took, a.ID)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			fmt.Fprintf(out, "no final receipt within %s\n", wait)
			return nil
		case receipt, open := <-receipts:
			if !open {
				fmt.Fprintln(out, "receipts of this provider come over HTTP, to a running server")
				return nil
			}
			fmt.Fprintf(out, "receipt after %s: %s %s\n", time.Since(begin).Round(time.Millisecond), receipt.Status,
				receipt.Code)
			if receipt.Status == channel.Delivered || receipt.Status == channel.Undelivered || receipt.Status == channel.Failed {
				return nil
			}
		}
	}
}
