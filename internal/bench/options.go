// Package bench measures what a durable verification costs: Dialproof's own server, beside a floor that does the least
// a durable service can do, and beside peers that are already running.
//
// It stands outside: it starts the servers as processes of their own, talks HTTP to them over loopback, and reads what
// the kernel counted. It is not a test, and no figure of it means anything without the others of the same run.
package bench

import "io"

// Options says what to measure.
type Options struct {
	// Program is the dialproof binary that serves; the floor is the same binary in another role.
	Program string
	// Rounds is how often each system is measured, in turn, 1 to 100.
	Rounds int
	// Ops is how many starts, and then checks, make a round, 1 to 1,000,000.
	Ops int
	// Connections is how many requests are under way at once, 1 to 1024.
	Connections int
	// Postgres adds Dialproof on an empty database of a PostgreSQL that is running, by its connection string.
	Postgres string
	// PostgresPID is its postmaster, whose CPU and that of its children counts; 0 counts the node alone.
	PostgresPID int
	// Peers adds systems that are already running, as name=address (otpgateway=http://127.0.0.1:9000).
	Peers []string
	// PeerPIDs are the processes of a peer whose CPU counts, by its name.
	PeerPIDs map[string][]int
	// Sink is where the provider listens, on loopback; a peer's configuration has to name it. Port 0 takes a free one.
	Sink string
	// Overload measures what is left of Dialproof when twice as much is asked as it can do, instead of rounds.
	Overload bool
	// Seconds is how long each load of it lasts, 1 to 600.
	Seconds int
	// Old measures how Dialproof grows, instead of rounds: with so many old verifications in its store, 0 to 100,000,000,
	// and Pending that are alive, 0 to 1,000,000. 0 of both: rounds.
	Old, Pending int
	Out          io.Writer
}
