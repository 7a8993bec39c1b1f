package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrBehind is what all refusals of a server are that is not, or may not be, a successor of the one that this node has
// last written to.
var ErrBehind = errors.New("the database server is behind what this node has written to")

// errUnidentified: the server does not say who it is.
var errUnidentified = errors.New(
	"the database server does not tell its identity: pg_control_system, pg_walfile_name or pg_current_wal_insert_lsn " +
		"is missing or not allowed")

// standing is a place in the history of a cluster of PostgreSQL.
type standing struct {
	// System is the cluster's identifier, which its replicas share; empty: nothing is known.
	System string
	// Timeline grows with each promotion.
	Timeline int64
	// Mark is a random number that the first node has written into the database on this timeline: whoever descends from it
	// has it too. Two replicas that were both promoted have the same timeline and different marks. 0: not known.
	Mark int64
	// LSN is a position in the log before which everything is durable.
	LSN uint64
}

// pgServer is one server as it was identified. It is never changed.
type pgServer struct {
	standing
	address string
	// started is when it was started, as it says it. A promotion does not change it.
	started string
	standby bool // it does not write
}

// same reports whether both are one server that has neither been restarted nor promoted in between.
func (s *pgServer) same(o *pgServer) bool {
	return s.System == o.System && s.Timeline == o.Timeline && s.started == o.started
}

// sqlIdentify answers in texts, which either protocol of PostgreSQL writes alike. It needs no more rights than any role
// has. The name of a log file begins with the timeline.
const sqlIdentify = `SELECT s.system_identifier::text, extract(epoch FROM pg_postmaster_start_time())::text,
  (r.standby OR current_setting('transaction_read_only') = 'on')::text,
 CASE WHEN r.standby THEN '00000000' ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END,
 CASE WHEN r.standby THEN '0' ELSE pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint::text END
FROM pg_control_system() s, (SELECT pg_is_in_recovery() AS standby) r`

// identify asks a server who it is, in one round trip.
func identify(ctx context.Context, c *pgconn.PgConn) (*pgServer, error) {
	row, err := oneRow(ctx, c, sqlIdentify)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "42883", "42501", "42P01", "42703", "0A000": // no such function, not allowed, not supported
			return nil, fmt.Errorf("%w (%s)", errUnidentified, pg.Message)
		}
	}
	if err != nil {
		return nil, err
	}
	return parseServer(row, c.Conn().RemoteAddr().String())
}

// parseServer reads the row of sqlIdentify.
func parseServer(row [][]byte, address string) (*pgServer, error) {
	if len(row) != 5 || len(row[3]) < 8 {
		return nil, errUnidentified
	}
	timeline, err := strconv.ParseInt(string(row[3][:8]), 16, 64)
	lsn, failed := strconv.ParseUint(string(row[4]), 10, 64)
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnidentified, err)
	}
	return &pgServer{
		standing: standing{System: string(row[0]), Timeline: timeline, LSN: lsn},
		address:  address, started: string(row[1]), standby: string(row[2]) == "true",
	}, nil
}

// oneRow runs a statement by the simple protocol and returns its first row as text; nil for none.
func oneRow(ctx context.Context, c *pgconn.PgConn, sql string) ([][]byte, error) {
	results, err := c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) == 0 || len(results[0].Rows) == 0 {
		return nil, nil
	}
	return results[0].Rows[0], nil
}

// oneInt is oneRow for one integer; 0 for no row.
func oneInt(ctx context.Context, c *pgconn.PgConn, sql string) (int64, error) {
	row, err := oneRow(ctx, c, sql)
	if err != nil || len(row) == 0 {
		return 0, err
	}
	return strconv.ParseInt(string(row[0]), 10, 64)
}

// lsnText writes a position as PostgreSQL does.
func lsnText(lsn uint64) string { return fmt.Sprintf("%X/%X", lsn>>32, lsn&0xFFFFFFFF) }
