package postgres

import (
	"fmt"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/tables"
)

// The rows of a table that have ended, found by an index, and dropped unless somebody else holds them. The array makes
// the outer statement find them by their keys, whatever the planner thinks of how many there are. Rows that the batch
// knows are spared where it writes them by UPDATE: at its end that would find no row.
//
// A removed row stays in the index until a vacuum: $1, the end of the last row that the step before has removed, spares
// a step the walk through them.
const (
	sqlPurgeNumbers = `WITH gone AS (DELETE FROM numbers WHERE key = ANY(ARRAY(SELECT key FROM numbers ` +
		`WHERE touched >= $1 AND touched <= $2 AND key <> ALL($4::bytea[]) ` +
		`ORDER BY touched LIMIT $3 FOR UPDATE SKIP LOCKED)) RETURNING touched AS ended)` + sqlPurged
	sqlPurgeLimits = `WITH gone AS (DELETE FROM limits WHERE key = ANY(ARRAY(SELECT key FROM limits ` +
		`WHERE hour >= $1 AND hour < $2 AND tat < $5 AND key <> ALL($4::bytea[]) ` +
		`ORDER BY hour LIMIT $3 FOR UPDATE SKIP LOCKED)) RETURNING hour AS ended)` + sqlPurged
	sqlPurgeReplays = `WITH gone AS (DELETE FROM replays WHERE key = ANY(ARRAY(SELECT key FROM replays ` +
		`WHERE until >= $1 AND until < $2 ORDER BY until LIMIT $3 FOR UPDATE SKIP LOCKED)) ` +
		`RETURNING until AS ended)` + sqlPurged
	sqlPurgeSent = `WITH gone AS (DELETE FROM sent WHERE key = ANY(ARRAY(SELECT key FROM sent ` +
		`WHERE until >= $1 AND until < $2 ORDER BY until LIMIT $3 FOR UPDATE SKIP LOCKED)) ` +
		`RETURNING until AS ended)` + sqlPurged
	sqlPurged = ` SELECT count(*), coalesce(max(ended), 0) FROM gone`

	sqlOldLanes = `DELETE FROM lanes WHERE seen < $1`
)

// Purge implements store.Tables.
func (t *pgTx) Purge(kind store.Purged, from int64, before time.Time) (n int, next int64, err error) {
	end := before.UnixMilli()
	var sql string
	args := []any{from, end, int64(store.PurgeStep)}
	switch kind {
	case store.PurgeNumbers:
		sql, args = sqlPurgeNumbers, append(args, known(&t.b.Numbers))
		args[1] = end - row.Day // all of the day is before
	case store.PurgeLimits:
		sql, args = sqlPurgeLimits, append(args, known(&t.b.Limits), end)
		args[1] = end / limitHour
	case store.PurgeReplays:
		sql = sqlPurgeReplays
	case store.PurgeSent:
		sql = sqlPurgeSent
	default:
		return 0, 0, fmt.Errorf("store: nothing is purged of %q", kind)
	}
	err = t.Conn.Query(sql, func(r tables.Row) error { n, next = int(r.Int(0)), r.Int(1); return nil }, args...)
	t.wrote = t.wrote || n > 0
	return n, next, err
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
