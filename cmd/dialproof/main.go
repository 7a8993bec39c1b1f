// Command dialproof is the whole program: the server, its development form, and the tools of its operator.
//
// It reads flags and calls internal/app; it decides nothing itself. `dialproof --help` lists the commands, and each
// has examples in its own help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit codes. They are a promise: scripts rely on them.
const (
	exitOK = 0
	// exitFailed: it was tried and did not work.
	exitFailed = 1
	// exitUsage: nothing was tried; the flags or the configuration are wrong.
	exitUsage = 2
	// exitNotApproved: the server answered, and the code was not the right one.
	exitNotApproved = 3
	// exitInterrupted: a second signal ended it before it had stopped in good order.
	exitInterrupted = 130
)

// garbage is how much the heap may grow between collections, in percent. The rows that the store keeps in memory are
// looked through at each: with Go's own 100 that costs a tenth of the CPU under load. heapGoal holds the growth off
// when there is much to keep, in bytes. GOGC and GOMEMLIMIT, when set, win.
const (
	garbage  = 300
	heapGoal = 100 << 20
)

func tuneMemory(env func(string) (string, bool)) {
	if _, set := env("GOGC"); !set {
		debug.SetGCPercent(garbage)
	}
	if _, set := env("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(heapGoal)
	}
}

// processors is how many of Go's processors there are at least. With one, everything stands still while a commit waits
// for the disk, until the runtime notices and takes the processor away from it. GOMAXPROCS, when set, wins.
const processors = 2

func tuneProcessors(env func(string) (string, bool)) {
	if _, set := env("GOMAXPROCS"); !set && runtime.GOMAXPROCS(0) < processors {
		runtime.GOMAXPROCS(processors)
	}
}

func main() {
	tuneMemory(os.LookupEnv)
	tuneProcessors(os.LookupEnv)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := world{Env: os.LookupEnv, Out: os.Stdout, Err: os.Stderr, app: wire(), log: &atomic.Pointer[slog.Logger]{}}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		if w.log.Load() == nil { // what logs says so there
			fmt.Fprintln(w.Err, "dialproof: stopping; what is under way is finished first. Once more ends it at once.")
		}
		cancel()
		<-signals
		if log := w.log.Load(); log != nil {
			log.Warn("ended at once by a second signal")
		}
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(ctx, os.Args[1:], w))
}

// world is what the commands see of their surroundings.
type world struct {
	Env      func(string) (string, bool)
	Out, Err io.Writer
	app      wiring
	// log is set by a command that logs instead of talking to a person: its end is a line of the log too. May be nil.
	log *atomic.Pointer[slog.Logger]
}

// speak makes the log what is written to from now on.
func (w world) speak(log *slog.Logger) {
	if w.log != nil {
		w.log.Store(log)
	}
}

// exitError ends the program with a code and no further words.
type exitError int

// Error reads "exit 3".
func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usageError is a fault of the flags or the configuration.
type usageError struct{ error }

// run is main without the process: it answers the exit code.
func run(ctx context.Context, args []string, w world) int {
	var c cli
	code := -1
	parser, err := newParser(&c, w, func(n int) { code = n })
	if err != nil {
		fmt.Fprintln(w.Err, "dialproof:", err)
		return exitFailed
	}
	parser.Model.HelpFlag.Help = "Show this."
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if code >= 0 { // --help or --version has been answered
		return code
	}
	if err != nil {
		return usage(w, parser, err)
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return report(w, parsed.Run(w, parser))
}

func newParser(c *cli, w world, exit func(int)) (*kong.Kong, error) {
	return kong.New(
		c,
		kong.Name("dialproof"),
		kong.Description(
			"Dialproof proves that a person holds a phone number: it sends a one-time code and checks what was typed.",
		),
		kong.Writers(w.Out, w.Err),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ShortUsageOnError(),
	)
}

// usage reports a command line that cannot be understood.
func usage(w world, parser *kong.Kong, err error) int {
	command := []string{parser.Model.Name}
	if e, ok := errors.AsType[*kong.ParseError](err); ok && e.Context != nil {
		for _, p := range e.Context.Path {
			if p.Command != nil {
				command = append(command, p.Command.Name)
			}
		}
	}
	fmt.Fprintf(w.Err, "dialproof: %v\nRun \"%s --help\" for what there is.\n", err, strings.Join(command, " "))
	return exitUsage
}

// report tells what went wrong and answers the exit code.
func report(w world, err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[exitError](err); ok {
		return int(e)
	}
	if w.log != nil && w.log.Load() != nil {
		w.log.Load().Error("ended by an error", "error", err)
	} else {
		// Errors of the SDK begin with the same word.
		fmt.Fprintln(w.Err, "dialproof:", strings.TrimPrefix(err.Error(), "dialproof: "))
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}
