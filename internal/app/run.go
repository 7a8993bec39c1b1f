package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime/debug"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/logging"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/web"
)

// Serve runs a deployment until ctx ends, and then stops it in good order. A configuration that comes from reloads puts
// its routes in place of the old ones.
func Serve(ctx context.Context, cfg config.Config, log *slog.Logger, reloads <-chan config.Config) (err error) {
	logging.Redirect(log)
	r, err := ring(cfg.Keys)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, cfg.Listen) // first: whoever asks is told why there is no answer yet
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // the server has closed it when all went well
	n, err := await(ctx, cfg, log, listener, options{ring: r})
	if n == nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, n.Stop()); err == nil {
			log.Info("stopped")
		}
	}()
	h, err := n.api(ctx, nil, "")
	if err != nil {
		return err
	}
	if err := n.start(ctx, h); err != nil {
		return err
	}
	log = n.log
	if len(n.directory.Applications()) == 0 {
		log.Warn("there is no application yet: make one with `dialproof app create`")
	}
	log.Info("ready", "listen", n.listener.Addr().String(), "routes", len(n.routes.All()))
	debug.FreeOSMemory() // what starting took is not kept: a server that nobody asks would never collect it
	for {
		select {
		case <-ctx.Done():
			log.Info("stopping: what is under way is finished first")
			return nil
		case next := <-reloads:
			n.reload(next)
		}
	}
}

// DevOptions is what Dev needs.
type DevOptions struct {
	Listen string
	Data   string
	Out    io.Writer
	Log    *slog.Logger
}

// devKeyFile is where the development key is written, in the data folder.
const devKeyFile = "dev.key"

// Dev runs a development server: everything in one folder, a ready key, and a phone in the browser.
func Dev(ctx context.Context, o DevOptions) (err error) {
	logging.Redirect(o.Log)
	listener, err := listen(ctx, o.Listen) // first: links and proofs name the port, which may be any free one
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // the server has closed it when all went well
	o.Listen = listener.Addr().String()
	cfg := config.Default()
	cfg.Listen, cfg.Data, cfg.Drain = o.Listen, o.Data, 0
	cfg.PublicURL = "http://" + o.Listen
	cfg.Webhooks.AllowPrivate = true
	cfg.Routes = []config.Route{{Name: "handset", Provider: "handset", Concurrency: config.DefaultConcurrency,
		Timeout: config.DefaultTimeout}}
	if err := makeFolder(o.Data); err != nil {
		return err
	}
	r, err := devRing(o.Data)
	if err != nil {
		return err
	}
	n, err := open(ctx, cfg, o.Log, options{ring: r, dev: true})
	if err != nil {
		return err
	}
	n.listener = listener
	defer func() { err = errors.Join(err, n.Stop()) }()
	key, err := n.devKey(ctx)
	if err != nil {
		return err
	}
	page, err := web.Handset{
		Inbox:   inbox{n.box},
		URL:     cfg.PublicURL,
		Key:     key,
		KeyFile: filepath.Join(o.Data, devKeyFile),
	}.Handler()
	if err != nil {
		return err
	}
	h, err := n.api(ctx, page, key)
	if err != nil {
		return err
	}
	if err := n.start(ctx, h); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, `Dialproof is running. Nothing leaves this machine.

  Handset   http://%[1]s/dev/handset   (open this: a phone in your browser)
  API       http://%[1]s/v1
  Docs      http://%[1]s/docs
  Key       %[2]s   (also in %[3]s)

Press Ctrl-C to stop.
`, n.listener.Addr(), key, filepath.Join(o.Data, devKeyFile))
	<-ctx.Done()
	return nil
}

// devKey returns the folder's development key, made at its first use.
func (n *Node) devKey(ctx context.Context) (string, error) {
	path := filepath.Join(n.cfg.Data, devKeyFile)
	if text, err := readKey(path); err == nil {
		if _, err := n.directory.Authenticate(text); err == nil {
			return text, nil
		}
	}
	app, err := n.directory.ByName("dev")
	if errors.Is(err, application.ErrNotFound) {
		app, err = n.directory.Create(ctx, application.Application{
			Name: "dev", Brand: "Dev Shop", Policy: application.Policy{Channels: []channel.Kind{channel.SMS, channel.Voice}},
		})
	}
	if err != nil {
		return "", err
	}
	_, token, err := n.directory.CreateKey(ctx, application.NewKey{
		App: app.ID, Name: "dev", Mode: application.Test, Scopes: []application.Scope{application.Verify, application.Read},
	})
	if err != nil {
		return "", err
	}
	return token, writeFile(path, []byte(token+"\n"))
}

// Migrate brings the store's schema up to date. Where it is, servers may be running.
func Migrate(ctx context.Context, cfg config.Config) error {
	db, err := openTool(ctx, cfg)
	if errors.Is(err, sqlite.ErrSchema) || errors.Is(err, postgres.ErrSchema) {
		db, err = openServing(ctx, cfg, commits{newMetrics(), logging.NewOutage(slog.DiscardHandler, unusable)},
			slog.New(slog.DiscardHandler))
	}
	if err != nil {
		return err
	}
	return db.Close()
}

// OpenDirectory opens the tenants of a deployment's store; a server that runs on it sees changes within a second.
func OpenDirectory(ctx context.Context, cfg config.Config) (*application.Directory, func() error, error) {
	db, err := openTool(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	d, err := application.Open(ctx, db, id.NewSource(id.ID{}), db.Now)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return d, db.Close, nil
}

// Doctor looks at everything that a deployment needs and says what it finds, a line each. It sends nothing.
func Doctor(ctx context.Context, cfg config.Config, out io.Writer) (ok bool, err error) {
	ok = true
	say := func(what string, err error) {
		if err != nil {
			ok = false
			fmt.Fprintf(out, "WRONG  %s: %v\n", what, err)
			return
		}
		fmt.Fprintf(out, "ok     %s\n", what)
	}
	r, err := ring(cfg.Keys)
	say(fmt.Sprintf("key ring: %d keys", len(cfg.Keys)), err)
	if err != nil {
		return false, nil
	}
	n, err := open(ctx, cfg, slog.New(slog.DiscardHandler), options{ring: r, guest: true})
	say("store and routes", err)
	if err != nil {
		return false, nil
	}
	defer func() { err = errors.Join(err, n.Stop()) }()
	n.examine(ctx, say, out)
	return ok, nil
}

// examine looks at tenants and routes.
func (n *Node) examine(ctx context.Context, say func(string, error), out io.Writer) {
	facts, err := n.store.Describe(ctx)
	say("store: "+facts.Summary, err)
	for _, wrong := range facts.Wrong {
		say("store", errors.New(wrong))
	}
	for _, note := range facts.Notes {
		fmt.Fprintln(out, "note   store: "+note)
	}
	apps := n.directory.Applications()
	if len(apps) == 0 {
		say("applications", errors.New("there is none: make one with `dialproof app create`"))
	} else {
		say(fmt.Sprintf("applications: %d, keys: %d", len(apps), len(n.directory.Keys(id.ID{}))), nil)
	}
	n.unheard(out)
	if n.cfg.PublicURL == "" {
		fmt.Fprintln(out, "note   public_url is not set: providers cannot send receipts")
	}
	if len(n.routes.All()) == 0 {
		say("routes", errors.New("there is none: nothing can be sent"))
	}
	asked := n.ask(ctx)
	for i, r := range n.routes.All() {
		if r.Spare {
			continue // ours, and always there
		}
		if _, reports := channel.As[channel.Receiver](r.Sender); reports && n.cfg.PublicURL != "" {
			fmt.Fprintf(out, "note   route %s: one address for all receipts, if the provider's console wants one: %s\n", r.Name,
				n.handler.Callbacks.Fixed(r.Name))
		}
		if len(r.Registered) > 0 {
			checked, err := lint(r, apps)
			say(fmt.Sprintf("route %s: %d texts against %d registered ones", r.Name, checked, len(r.Registered)), err)
		}
		if _, can := channel.As[channel.Checker](r.Sender); !can {
			fmt.Fprintf(out, "note   route %s: %s cannot be asked without sending\n", r.Name, r.Provider)
			continue
		}
		say("route "+r.Name, advise(r, <-asked[i]))
	}
}
