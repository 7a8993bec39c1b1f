package tables

import (
	"bytes"
	"context"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Reader reads the tables as they are. An engine whose tables are behind reads rows of its own first.
type Reader struct {
	Dialect *Dialect
	// Run runs reads on a connection; f may be run again.
	Run func(ctx context.Context, f func(Conn) error) error
}

var _ store.Reader = Reader{}

// Read runs reads that need no lock. f may be run again. A failure is one that a caller of the store may see.
func (d Reader) Read(ctx context.Context, f func(Conn) error) error {
	err := d.Run(ctx, f)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return store.Unavailable("the store cannot be read", err)
}

// Find implements verify.Store.
func (d Reader) Find(ctx context.Context, v id.ID) (out *verify.Verification, err error) {
	err = d.Read(ctx, func(c Conn) error { out, err = d.Dialect.Verification(c, v); return err })
	return out, err
}

// NumberRow implements verify.Store.
func (d Reader) NumberRow(ctx context.Context, k verify.NumberKey) (out *verify.Number, err error) {
	err = d.Read(ctx, func(c Conn) error { out, err = readNumber(c, "", k); return err })
	return out, err
}

// FindSent implements deliver.Store.
func (d Reader) FindSent(ctx context.Context, key [16]byte) (s deliver.Sent, ok bool, err error) {
	err = d.Read(ctx, func(c Conn) error { s, ok, err = readSent(c, key); return err })
	return s, ok, err
}

// scanStep is how many rows one read of a scan returns.
const scanStep = 256

// Scan implements verify.Store.
func (d Reader) Scan(ctx context.Context, app, before id.ID, yield func(*verify.Verification) bool) error {
	from := before
	if from.IsZero() {
		from = id.ID(bytes.Repeat([]byte{0xff}, len(from)))
	}
	for {
		page, err := d.Page(ctx, app, from)
		if err != nil {
			return err
		}
		for _, v := range page {
			if !yield(v) {
				return nil
			}
			from = v.ID
		}
		if len(page) < scanStep {
			return nil
		}
	}
}

// Page returns the next verifications of an application, newest first, from before the id given; fewer than a full page
// at the end.
func (d Reader) Page(ctx context.Context, app, before id.ID) (page []*verify.Verification, err error) {
	err = d.Read(ctx, func(c Conn) error {
		page = make([]*verify.Verification, 0, scanStep)
		return c.Query(d.Dialect.scan, func(r Row) error {
			v, err := ScanVerification(r)
			page = append(page, v)
			return err
		}, app[:], d.Dialect.keyOf(before), int64(scanStep))
	})
	return page, err
}

// Last returns the newest id that the store's time-ordered tables have.
func (d Reader) Last(ctx context.Context) (last id.ID, err error) {
	for _, table := range []string{"verifications", "jobs"} {
		err := d.Read(ctx, func(c Conn) error {
			return c.Query("SELECT id FROM "+table+" ORDER BY "+d.Dialect.key+" DESC LIMIT 1", func(r Row) error {
				var found id.ID
				if copy(found[:], r.Raw(0)); bytes.Compare(found[:], last[:]) > 0 {
					last = found
				}
				return nil
			})
		})
		if err != nil {
			return last, err
		}
	}
	return last, nil
}

// Remembered implements store.Reader.
func (d Reader) Remembered(ctx context.Context, after, end id.ID) (out []*verify.Verification, err error) {
	err = d.Read(ctx, func(c Conn) error {
		out = nil
		return c.Query(d.Dialect.remembered, func(r Row) error {
			v, err := ScanVerification(r)
			out = append(out, v)
			return err
		}, d.Dialect.keyOf(after), d.Dialect.keyOf(end), int64(store.PurgeStep))
	})
	return out, err
}

const (
	sqlDepth  = `SELECT (SELECT count(*) FROM jobs), (SELECT min(due) FROM jobs)`
	sqlOldest = `SELECT kind, (SELECT id FROM jobs AS j WHERE j.kind = k.kind ORDER BY id LIMIT 1) ` +
		`FROM (SELECT DISTINCT kind FROM jobs) AS k`
	sqlAnyDue = `SELECT 1 FROM jobs WHERE kind = $1 AND due <= $2 LIMIT 1`
)

// Depth implements queue.Store.
func (d Reader) Depth(ctx context.Context, now time.Time) (out queue.Depth, err error) {
	err = d.Read(ctx, func(c Conn) error {
		out = queue.Depth{Oldest: map[string]time.Duration{}}
		if err := c.Query(sqlDepth, func(r Row) error {
			if out.Open = int(r.Int(0)); out.Open > 0 {
				out.Overdue = max(now.Sub(Milli(r.Int(1))), 0)
			}
			return nil
		}); err != nil || out.Open == 0 {
			return err
		}
		return c.Query(sqlOldest, func(r Row) error {
			var oldest id.ID
			copy(oldest[:], r.Raw(1))
			out.Oldest[string(r.Raw(0))] = max(now.Sub(oldest.Time()), 0)
			return nil
		})
	})
	return out, err
}

// AnyDue implements store.Reader.
func (d Reader) AnyDue(ctx context.Context, kind string, now time.Time) (due bool, err error) {
	err = d.Read(ctx, func(c Conn) error {
		return c.Query(sqlAnyDue, func(Row) error { due = true; return nil }, kind, now.UnixMilli())
	})
	return due, err
}

const (
	sqlApplications = `SELECT data FROM applications ORDER BY id`
	sqlKeys         = `SELECT data, used FROM api_keys ORDER BY id`
	sqlVersion      = `SELECT n FROM versions WHERE name = 'tenants'`
	sqlWebhooks     = `SELECT data FROM webhooks ORDER BY id`
	sqlMark         = `SELECT n FROM versions WHERE name = $1`
)

// Applications implements application.Store.
func (d Reader) Applications(ctx context.Context) (out []application.Application, err error) {
	err = d.Read(ctx, func(c Conn) error {
		out = nil
		return c.Query(sqlApplications, func(r Row) error {
			var a application.Application
			err := json.Unmarshal(r.Raw(0), &a)
			out = append(out, a)
			return err
		})
	})
	return out, err
}

// Keys implements application.Store.
func (d Reader) Keys(ctx context.Context) (out []application.Key, err error) {
	err = d.Read(ctx, func(c Conn) error {
		out = nil
		return c.Query(sqlKeys, func(r Row) error {
			var k application.Key
			err := json.Unmarshal(r.Raw(0), &k)
			if used := r.Int(1); used > 0 {
				k.LastUsed = Milli(used)
			}
			out = append(out, k)
			return err
		})
	})
	return out, err
}

// Version implements application.Store.
func (d Reader) Version(ctx context.Context) (n int64, err error) {
	err = d.Read(ctx, func(c Conn) error {
		return c.Query(sqlVersion, func(r Row) error { n = r.Int(0); return nil })
	})
	return n, err
}

// Webhooks implements webhook.Store.
func (d Reader) Webhooks(ctx context.Context) (out []webhook.Endpoint, err error) {
	err = d.Read(ctx, func(c Conn) error {
		out = nil
		return c.Query(sqlWebhooks, func(r Row) error {
			var e webhook.Endpoint
			err := json.Unmarshal(r.Raw(0), &e)
			out = append(out, e)
			return err
		})
	})
	return out, err
}

// Mark implements store.Reader.
func (d Reader) Mark(ctx context.Context, name string) (n int64, err error) {
	err = d.Read(ctx, func(c Conn) error {
		return c.Query(sqlMark, func(r Row) error { n = r.Int(0); return nil }, "mark "+name)
	})
	return n, err
}
