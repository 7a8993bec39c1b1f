package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/dialproof/dialproof/internal/config"
)

// configFlag finds the configuration file.
type configFlag struct {
	Config string `type:"path" placeholder:"FILE" env:"DIALPROOF_CONFIG" help:"The configuration file. Default: ./dialproof.yaml, else /etc/dialproof/dialproof.yaml."`
}

// load returns the configuration. Without a file, the environment alone may hold it.
func (f configFlag) load(w world) (config.Config, error) {
	path := f.Config
	if path == "" {
		for _, p := range []string{"dialproof.yaml", "/etc/dialproof/dialproof.yaml"} {
			if _, err := os.Stat(p); err == nil {
				path = p
				break
			}
		}
	}
	c, err := config.Load(path, w.Env)
	switch {
	case err == nil:
		return c, nil
	case path == "":
		return c, usageError{
			fmt.Errorf(
				"there is no dialproof.yaml here or in /etc/dialproof; name one with --config, or try `dialproof dev`, which " +
					"needs none")}
	case errors.Is(err, fs.ErrNotExist) && f.Config != "":
		return c, usageError{fmt.Errorf("%w; name another with --config", err)}
	}
	return c, usageError{fmt.Errorf("the configuration cannot be used:\n%w", err)}
}

// logger returns the log that the configuration asks for.
func logger(l config.Log, out io.Writer) *slog.Logger {
	var level slog.Level
	if level.UnmarshalText([]byte(l.Level)) != nil {
		level = slog.LevelInfo // Validate has refused other words
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "human" {
		return slog.New(slog.NewTextHandler(out, o))
	}
	return slog.New(slog.NewJSONHandler(out, o))
}

type serveCmd struct {
	configFlag
}

// Help has the examples.
func (serveCmd) Help() string {
	return `Every key of the file can also come from the environment, which wins: log.level is DIALPROOF_LOG_LEVEL. A
signal (INT or TERM) finishes what is under way and ends; a second one ends at once. HUP reads the file again and
puts its routes in place of the old ones; the rest needs a restart. Logs go to standard error.

Examples:
  dialproof serve --config /etc/dialproof/dialproof.yaml
  DIALPROOF_LISTEN=127.0.0.1:9000 dialproof serve
  dialproof doctor && dialproof serve       # look before you start`
}

// Run serves until a signal.
func (c serveCmd) Run(ctx context.Context, w world) error {
	cfg, err := c.load(w)
	if err != nil {
		return err
	}
	log := logger(cfg.Log, w.Err)
	w.speak(log)
	log.Info("starting", "version", currentVersion(), "go", runtime.Version(), "platform", runtime.GOOS+"/"+runtime.GOARCH)
	return w.app.serve(ctx, cfg, log, c.reloads(ctx, w, log))
}

// reloads returns a channel that delivers the configuration after each HUP. A file that cannot be used is logged, and
// the configuration before it stays in force.
func (c serveCmd) reloads(ctx context.Context, w world, log *slog.Logger) <-chan config.Config {
	signals, out := make(chan os.Signal, 1), make(chan config.Config)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			cfg, err := c.load(w)
			if err != nil {
				log.Error("the configuration was not reloaded: the old one holds", "error", err)
				continue
			}
			select {
			case <-ctx.Done():
				return
			case out <- cfg:
			}
		}
	}()
	return out
}

type devCmd struct {
	Listen   string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" env:"DIALPROOF_LISTEN" help:"The address to listen on. Default: ${default}."`
	Data     string `type:"path" default:".dialproof" placeholder:"FOLDER" env:"DIALPROOF_DATA" help:"Where everything is kept; remove it to begin anew. Default: ./.dialproof."`
	LogLevel string `placeholder:"LEVEL" enum:"debug,info,warn,error" default:"warn" help:"The least level that is logged: ${enum}. Default: ${default}."`
}

// Help has the examples.
func (devCmd) Help() string {
	return `It prints the address, a ready API key (also in <data>/dev.key) and the page of the handset: a phone in the
browser that shows what a person would receive. Nothing leaves this machine. Numbers reserved for fiction, like
+447700900123, are welcome here.

Examples:
  dialproof dev
  dialproof dev --listen 127.0.0.1:9000 --data /tmp/dialproof
  curl http://127.0.0.1:8080/v1/verifications -H "Authorization: Bearer $(cat .dialproof/dev.key)" \
    -d '{"to":"+447700900123"}'`
}

// Run serves until a signal.
func (c devCmd) Run(ctx context.Context, w world) error {
	log := logger(config.Log{Format: "human", Level: c.LogLevel}, w.Err)
	return w.app.dev(ctx, devOptions{Listen: c.Listen, Data: c.Data, Out: w.Out, Log: log})
}

type migrateCmd struct {
	configFlag
}

// Help has the examples.
func (migrateCmd) Help() string {
	return `serve does this by itself when it starts. Run it alone before many nodes are started, or to see that it
works. It changes nothing when there is nothing to do. Make a copy of the database first: there is no way back.

Example:
  dialproof migrate --config /etc/dialproof/dialproof.yaml`
}

// Run migrates.
func (c migrateCmd) Run(ctx context.Context, w world) error {
	cfg, err := c.load(w)
	if err != nil {
		return err
	}
	if err := w.app.migrate(ctx, cfg); err != nil {
		return err
	}
	fmt.Fprintln(w.Out, "the database has this version's schema")
	return nil
}

type doctorCmd struct {
	configFlag
}

// Help has the examples.
func (doctorCmd) Help() string {
	return `It reads the configuration, opens the store, and asks each provider whether it knows our credentials, where the
provider can be asked without sending. It ends with 0 when all is well and with 1 when something is not.

Example:
  dialproof doctor --config /etc/dialproof/dialproof.yaml`
}

// Run looks.
func (c doctorCmd) Run(ctx context.Context, w world) error {
	cfg, err := c.load(w)
	if err != nil {
		return err
	}
	ok, err := w.app.doctor(ctx, cfg, w.Out)
	if err != nil {
		return err
	}
	if !ok {
		return exitError(exitFailed)
	}
	return nil
}

// storeFlag finds a store: the configuration's, or that of a dev folder.
type storeFlag struct {
	configFlag
	Data string `type:"path" placeholder:"FOLDER" help:"The data folder of \"dialproof dev\", instead of a configuration."`
}

// load returns the configuration that names the store.
func (f storeFlag) load(w world) (config.Config, error) {
	if f.Data == "" {
		return f.configFlag.load(w)
	}
	if _, err := os.Stat(f.Data); err != nil {
		return config.Config{}, usageError{fmt.Errorf("%w; `dialproof dev` makes the folder", err)}
	}
	c := config.Default()
	c.Data = filepath.Clean(f.Data)
	return c, nil
}
