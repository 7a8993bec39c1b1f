package postgres

import (
	"fmt"
	"time"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
)

// The rows of a table that have ended, found by an index, and dropped unless somebody else holds them.
const (
	sqlPurgeNumbers = `DELETE FROM numbers WHERE key IN (SELECT key FROM numbers WHERE touched <= $1 ORDER BY touched LIMIT $2 FOR UPDATE SKIP LOCKED)`
	sqlPurgeLimits  = `DELETE FROM limits WHERE key IN (SELECT key FROM limits WHERE hour < $1 AND tat < $2 ORDER BY hour LIMIT $3 FOR UPDATE SKIP LOCKED)`
	sqlPurgeReplays = `DELETE FROM replays WHERE key IN (SELECT key FROM replays WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)`
	sqlPurgeSent    = `DELETE FROM sent WHERE key IN (SELECT key FROM sent WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)`
	sqlOldLanes     = `DELETE FROM lanes WHERE seen < $1`
)

// Purge implements store.Tables.
func (t *pgTx) Purge(kind store.Purged, before time.Time) (int, error) {
	end := before.UnixMilli()
	var sql string
	args := []any{end, int64(store.PurgeStep)}
	switch kind {
	case store.PurgeNumbers:
		sql, args[0] = sqlPurgeNumbers, end-row.Day // all of the day is before
	case store.PurgeLimits:
		sql, args = sqlPurgeLimits, []any{end / limitHour, end, int64(store.PurgeStep)}
	case store.PurgeReplays:
		sql = sqlPurgeReplays
	case store.PurgeSent:
		sql = sqlPurgeSent
	default:
		return 0, fmt.Errorf("store: nothing is purged of %q", kind)
	}
	n, err := t.Conn.Exec(sql, args...)
	return int(n), err
}

// laneDays is how long the row of a lane is kept that nobody counts in any more.
const laneDays = 7 * 24 * time.Hour

// Upkeep implements store.Tables.
func (t *pgTx) Upkeep(now time.Time) error {
	_, err := t.Conn.Exec(sqlOldLanes, now.Add(-laneDays).UnixMilli())
	return err
}
