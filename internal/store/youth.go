package store

import (
	"sync/atomic"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

// youth is the jobs that have no row of their own yet. A job that is born with its verification is done within a moment, as a
// rule, and its row would be written, indexed, deleted and unindexed for nothing: until it has come of age, or changes, the
// delivery in the row of its verification stands for it, which says all that it says. Only an engine that is alone with its
// rows can do so. What a crash leaves is made again from the deliveries at the next start (orphans).
//
// The writer alone uses it, but for size.
type youth struct {
	jobs map[id.ID]*queue.Job
	// born are they in the order of their birth. Most are done since: a busy node has far more of these than jobs.
	born  []birth
	taken int // of born, by the batch that runs
	// size is how many there are, and first when the lease of the first of born ends, Unix milliseconds.
	size, first atomic.Int64
}

// birth is a job that was young, and when its lease ends, Unix milliseconds.
type birth struct {
	job id.ID
	due int64
}

// left is how long a job's lease must still run for it to do without a row. Leases are 30 s; a job has its row long before
// somebody else may claim it.
const left = 25 * time.Second

func newYouth() *youth { return &youth{jobs: map[id.ID]*queue.Job{}} }

// job answers a young job, or nil.
func (y *youth) job(j id.ID) *queue.Job {
	if y == nil {
		return nil
	}
	return y.jobs[j]
}

// takes tells whether a job that is to be written needs no row: its verification is new in this batch, and one of the
// deliveries in there says all of it.
func (y *youth) takes(b *batch, j *queue.Job) bool {
	if y == nil || j.Kind != verify.JobKind || len(j.Payload) > 0 {
		return false
	}
	e := b.verifications.rows[j.Ref]
	if e == nil || !e.dirty || e.kept || !e.there {
		return false
	}
	return stands(e.value, j)
}

// stands tells whether a delivery of the verification stands for the job.
func stands(v *verify.Verification, j *queue.Job) bool {
	for i := range v.Deliveries {
		if d := &v.Deliveries[i]; d.ID == j.ID {
			return d.Status == channel.Sending && d.Attempt == j.Attempt
		}
	}
	return false
}

// settle takes what a committed batch has made of jobs.
func (y *youth) settle(b *batch) {
	if y == nil {
		return
	}
	y.born, y.taken = y.born[y.taken:], 0
	for _, k := range b.jobs.dirty {
		e := b.jobs.rows[k]
		if e.there && e.rowless {
			y.jobs[k] = e.value
			y.born = append(y.born, birth{k, e.value.Due.UnixMilli()})
			continue
		}
		delete(y.jobs, k)
	}
	y.size.Store(int64(len(y.jobs)))
	if len(y.born) > 0 {
		y.first.Store(y.born[0].due)
	}
}

// adults gives the jobs whose lease runs only a little longer than now a row in this batch; with the zero time, all. They stay
// young until it has settled.
func (y *youth) adults(b *batch, now time.Time) error {
	if y == nil {
		return nil
	}
	y.taken = 0
	for _, j := range y.born {
		if !now.IsZero() && j.due-now.UnixMilli() >= left.Milliseconds() {
			return nil
		}
		if young := y.jobs[j.job]; young != nil {
			if _, err := b.job(j.job); err != nil {
				return err
			}
			b.jobs.put(j.job, young)
		}
		y.taken++
	}
	return nil
}

// due tells whether a job may have come of age. It may be asked beside the writer.
func (y *youth) due(now time.Time) bool {
	return y.count() > 0 && y.first.Load()-now.UnixMilli() < left.Milliseconds()
}

// count answers how many there are. It may be asked beside the writer.
func (y *youth) count() int {
	if y == nil {
		return 0
	}
	return int(y.size.Load())
}

// recent is how long before the newest verification one may have been made whose job was young when the process died. It is
// many times the age at which jobs get their rows, in case the writer was slow.
const recent = 2 * time.Minute

const (
	sqlNewest = `SELECT max(seq) FROM verifications`
	sqlSince  = `SELECT ` + verificationColumns + ` FROM verifications WHERE seq >= $1 AND instr(CAST(state AS BLOB), CAST($2 AS BLOB)) > 0 ORDER BY seq`
	sqlJobs   = `SELECT ` + jobColumns + ` FROM jobs`
)

// orphans answers a job, due now, for each delivery of a recent verification that is being sent and has none.
func orphans(c conn, now time.Time) (out []queue.Job, err error) {
	var newest int64
	if err := c.query(sqlNewest, func(r row) error { newest = r.Int(0); return nil }); err != nil || newest == 0 {
		return nil, err
	}
	held := map[id.ID]bool{} // deliveries that a job is about
	err = c.query(sqlJobs, func(r row) error {
		j := scanJob(r)
		held[j.ID] = true
		if len(j.Payload) == len(id.ID{}) {
			held[id.ID(j.Payload)] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	since := newest - recent.Milliseconds()<<16 // the first 48 bits of an id are milliseconds
	err = c.query(sqlSince, func(r row) error {
		v, err := scanVerification(r)
		if err != nil {
			return err
		}
		for _, d := range v.Deliveries {
			if d.Status == channel.Sending && !held[d.ID] {
				out = append(out, queue.Job{ID: d.ID, Kind: verify.JobKind, Due: now, Attempt: d.Attempt, Ref: v.ID})
			}
		}
		return nil
	}, since, string(channel.Sending)) // a glance at the text spares reading nearly all
	return out, err
}
