package postgres

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// fault is what a failed transaction means for the next try.
type fault int

const (
	// faultWork: the statement or its data are wrong; it will fail again.
	faultWork fault = iota
	// faultRace: another transaction was in the way; the same work may go through now.
	faultRace
	// faultDown: the server or the way to it does not work, or it only reads; another connection may.
	faultDown
)

// faultOf judges an error by the SQLSTATE (PostgreSQL, appendix A). What has none is a broken connection or a time-out.
func faultOf(err error) fault {
	if errors.Is(err, errNewLane) {
		return faultRace
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return faultDown
	}
	switch e.Code {
	case "40001", "40P01", // serialization failure, deadlock
		"55P03", // lock not available within lock_timeout
		"23505": // somebody made the row between our look and our insert
		return faultRace
	case "25006", // read-only transaction: a standby, or a primary that was told to stop
		"57014", // statement_timeout
		"25P03", // idle in transaction for too long
		"0A000", // a cached plan that no longer fits
		"58030": // I/O error
		return faultDown
	}
	switch e.Code[:2] {
	case "08", // connection exception
		"53", // insufficient resources: disk full, too many connections
		"57", // operator intervention: shutdown, crash of another backend, starting up
		"XX": // internal error
		return faultDown
	}
	return faultWork
}

// errNewLane: the lane's row was gone and has been made again.
var errNewLane = errors.New("the lane has a new row")

// errChanged: another server has taken over while one was asked.
var errChanged = errors.New("the database server has changed meanwhile")

// errAmbiguous: the connection was lost during COMMIT and nobody could tell what became of it.
var errAmbiguous = errors.New("the connection was lost during COMMIT, and whether it happened could not be found out")

// errUnreplicated: the transaction is durable on one server, but the replica that it should wait for has not said so.
var errUnreplicated = errors.New("the transaction was committed, but not confirmed by a synchronous replica")

// unreplicated is the note on a connection whose commit did not wait for the replica to its end.
const unreplicated = "unreplicated"

// notice notes the one warning that takes back what COMMIT seems to say.
func notice(c *pgconn.PgConn, n *pgconn.Notice) {
	if strings.Contains(n.Routine, "SyncRep") {
		c.CustomData()[unreplicated] = true
	}
}
