package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/bench"
)

type benchCmd struct {
	Rounds      int      `default:"5" placeholder:"N" help:"Rounds of each system, in turn. Default: ${default}."`
	Ops         int      `default:"20000" placeholder:"N" help:"Starts, and then checks, in a round. Default: ${default}."`
	Connections int      `default:"64" placeholder:"N" help:"Requests under way at once. Default: ${default}."`
	Postgres    string   `placeholder:"DSN" help:"Measure on PostgreSQL too: an empty database of a server that is running."`
	PostgresPID int      `placeholder:"PID" help:"Its postmaster, when it runs on this machine: its CPU counts."`
	Peer        []string `placeholder:"NAME=URL" help:"A peer that is running: otpgateway."`
	Sink        string   `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the provider listens; a peer has to be told."`
	PeerPID     []string `placeholder:"NAME=PID" help:"A process whose CPU counts as the peer's; may be repeated."`
	Overload    bool     `help:"Measure what is left when twice as much is asked as it can do."`
	Old         int      `placeholder:"N" help:"Measure again with so many old verifications in the store."`
	Pending     int      `placeholder:"N" help:"And with so many pending ones, and as many keys of limits."`
	Seconds     int      `default:"6" placeholder:"N" help:"How long each load of --overload lasts. Default: ${default}."`
}

// Help has the examples.
func (benchCmd) Help() string {
	return `It starts a floor (a program that only decodes, writes 256 bytes durably and posts), this binary on SQLite
and, with --postgres, on PostgreSQL, and asks each for verifications in turn: a new number every start, the right
code every check, a provider on loopback that does nothing. It prints what an operation costs and the ratios to the
floor. Only the ratios of one run mean something. It writes to a folder in /tmp (or $TMPDIR: put it on the disk you
mean to use).

Examples:
  dialproof bench
  dialproof bench --rounds 7 --ops 40000
  dialproof bench --postgres postgres://bench@127.0.0.1/bench --postgres-pid "$(head -1 /var/run/postgresql/15-main.pid)"
  dialproof bench --connections 1 --ops 500       # one request at a time
  dialproof bench --old 10000000 --pending 100000 # what a full store costs beside an empty one (10 GB)
  dialproof bench --overload                      # half of what it can do, and twice
  dialproof bench --peer otpgateway=http://app:secret@127.0.0.1:9000 --peer-pid otpgateway=4242`
}

// Run measures.
func (c benchCmd) Run(ctx context.Context, w world) error {
	if c.Rounds < 1 || c.Rounds > 100 || c.Ops < 1 || c.Ops > 1_000_000 || c.Connections < 1 || c.Connections > 1024 {
		return usageError{fmt.Errorf("--rounds is 1 to 100, --ops 1 to 1000000, --connections 1 to 1024")}
	}
	if c.Old < 0 || c.Old > 100_000_000 || c.Pending < 0 || c.Pending > 1_000_000 {
		return usageError{fmt.Errorf("--old is 0 to 100000000, --pending 0 to 1000000")}
	}
	if c.Seconds < 1 || c.Seconds > 600 {
		return usageError{fmt.Errorf("--seconds is 1 to 600")}
	}
	pids := map[string][]int{}
	for _, p := range c.PeerPID {
		name, text, _ := strings.Cut(p, "=")
		pid, err := strconv.Atoi(text)
		if err != nil {
			return usageError{fmt.Errorf("--peer-pid is NAME=PID, and not %q", p)}
		}
		pids[name] = append(pids[name], pid)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return bench.Run(ctx, bench.Options{
		Program:     program,
		Rounds:      c.Rounds,
		Ops:         c.Ops,
		Connections: c.Connections,
		Postgres:    c.Postgres,
		PostgresPID: c.PostgresPID,
		Peers:       c.Peer,
		Sink:        c.Sink,
		PeerPIDs:    pids,
		Overload:    c.Overload,
		Seconds:     c.Seconds,
		Old:         c.Old,
		Pending:     c.Pending,
		Out:         w.Out,
	})
}

// benchFloorCmd is the floor, as a process of its own.
type benchFloorCmd struct {
	Data     string `required:"" type:"path" help:"Where its file is written."`
	Provider string `required:"" help:"The address it posts to."`
}

// Run serves the floor until a signal.
func (c benchFloorCmd) Run(ctx context.Context, w world) error {
	return bench.ServeFloor(ctx, c.Data, c.Provider, w.Out)
}
