package postgres

import (
	"fmt"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
)

// The rows of a table that have ended, found by an index, and dropped unless somebody else holds them. The array makes the outer statement find them by
// their keys, whatever the planner thinks of how many there are. Rows that the batch knows are spared where it writes
// them by UPDATE: at its end that would find no row.
const (
	sqlPurgeNumbers = `DELETE FROM numbers WHERE key = ANY(ARRAY(SELECT key FROM numbers WHERE touched <= $1 AND key <> ALL($3::bytea[]) ORDER BY touched LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sqlPurgeLimits  = `DELETE FROM limits WHERE key = ANY(ARRAY(SELECT key FROM limits WHERE hour < $1 AND tat < $2 AND key <> ALL($4::bytea[]) ORDER BY hour LIMIT $3 FOR UPDATE SKIP LOCKED))`
	sqlPurgeReplays = `DELETE FROM replays WHERE key = ANY(ARRAY(SELECT key FROM replays WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sqlPurgeSent    = `DELETE FROM sent WHERE key = ANY(ARRAY(SELECT key FROM sent WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sqlOldLanes     = `DELETE FROM lanes WHERE seen < $1`
)

// Purge implements store.Tables.
func (t *pgTx) Purge(kind store.Purged, before time.Time) (int, error) {
	end := before.UnixMilli()
	var sql string
	args := []any{end, int64(store.PurgeStep)}
	switch kind {
	case store.PurgeNumbers:
		sql, args = sqlPurgeNumbers, []any{end - row.Day, int64(store.PurgeStep), known(&t.b.Numbers)} // all of the day is before
	case store.PurgeLimits:
		sql, args = sqlPurgeLimits, []any{end / limitHour, end, int64(store.PurgeStep), known(&t.b.Limits)}
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

// known returns the keys of the rows that a batch knows.
func known[K ~[16]byte, V any](rows *store.Rows[K, V]) *blobArray {
	return keys(slices.Collect(rows.Keys()))
}

// laneDays is how long the row of a lane is kept that nobody counts in any more.
const laneDays = 7 * 24 * time.Hour

// Upkeep implements store.Tables.
func (t *pgTx) Upkeep(now time.Time) error {
	_, err := t.Conn.Exec(sqlOldLanes, now.Add(-laneDays).UnixMilli())
	return err
}
