package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row/rowtest"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// journaled is an engine with a small journal beside a model of what it was told.
type journaled struct {
	*testing.T
	path string
	e    *Engine
	db   *store.DB
	ids  *id.Source
	rand *rand.Rand
	now  time.Time

	numbers       map[verify.NumberKey]int // streaks; gone: purged
	verifications map[id.ID]int            // attempts; gone: forgotten
	jobs          map[id.ID]int            // attempts
	limits        map[[16]byte]int64
	made, begun   []id.ID
}

const gone = -1

func newJournaled(t *testing.T, seed uint64) *journaled {
	t.Helper()
	j := &journaled{
		T:             t,
		path:          filepath.Join(t.TempDir(), "journal.db"),
		ids:           id.NewSource(id.ID{}),
		rand:          rand.New(rand.NewPCG(seed, 0)),
		now:           time.UnixMilli(1_800_000_000_000),
		numbers:       map[verify.NumberKey]int{},
		verifications: map[id.ID]int{},
		jobs:          map[id.ID]int{},
		limits:        map[[16]byte]int64{},
	}
	j.open(j.path)
	t.Cleanup(func() { j.e.Close() })
	return j
}

func (j *journaled) open(path string) {
	j.Helper()
	e, err := Open(j.Context(), path, Options{Journal: journal.Options{Limit: 6_000, Step: 900}})
	if err != nil {
		j.Fatal(err)
	}
	j.path, j.e, j.db = path, e, store.Direct(e)
}

// statusOf makes a quarter of the verifications ones that have ended.
func statusOf(attempts int) verify.Status {
	if attempts%4 == 0 {
		return verify.Approved
	}
	return verify.Pending
}

// step is one change, and what it makes of the model when it is committed.
func (j *journaled) step() (func(verify.Tx) error, func()) {
	switch n := j.rand.IntN(10); {
	case n < 4 || len(j.made) == 0:
		return j.stepOfNumber()
	case n < 6:
		return j.stepOfJob()
	case n < 7:
		k, tat := [16]byte{byte(j.rand.IntN(20)), 7}, j.rand.Int64N(1_000_000)
		return func(x verify.Tx) error { x.PutLimit(k, tat); return nil }, func() { j.limits[k] = tat }
	case n < 8:
		return j.stepOfNew()
	}
	k := j.made[len(j.made)-1-j.rand.IntN(min(len(j.made), 40))]
	attempts, forget := 1+j.rand.IntN(1_000_000), j.rand.IntN(20) == 0
	if forget || j.verifications[k] == gone {
		attempts = gone
	}
	return func(x verify.Tx) error {
		v, err := x.Verification(k)
		if err != nil || v == nil {
			return errors.Join(err, fmt.Errorf("verification %s is lost", k.Text(id.Verification)))
		}
		if attempts == gone {
			v.Forget()
		} else {
			v.Attempts, v.Status = attempts, statusOf(attempts)
		}
		x.PutVerification(v, false)
		return nil
	}, func() { j.verifications[k] = attempts }
}

func (j *journaled) stepOfNumber() (func(verify.Tx) error, func()) {
	if len(j.made) == 0 && j.rand.IntN(2) == 0 {
		return j.stepOfNew()
	}
	k := verify.NumberKey{byte(j.rand.IntN(30) * 8), 1}
	streak := 1 + j.rand.IntN(1_000_000)
	head := j.ids.New(j.now)
	return func(x verify.Tx) error {
		x.PutNumber(&verify.Number{Key: k, Streak: streak, Head: head})
		return nil
	}, func() { j.numbers[k] = streak }
}

func (j *journaled) stepOfNew() (func(verify.Tx) error, func()) {
	v := rowtest.Verification()
	v.ID, v.Sealed, v.Attempts = j.ids.New(j.now), []byte("sealed"), j.rand.IntN(1_000_000)
	v.Status = statusOf(v.Attempts)
	job := queue.Job{ID: j.ids.New(j.now), Kind: "k", Due: j.now, Attempt: 1, Ref: v.ID, Leased: true}
	return func(x verify.Tx) error { x.PutVerification(v, true); x.PutJob(job); return nil }, func() {
		j.verifications[v.ID], j.jobs[job.ID] = v.Attempts, 1
		j.made, j.begun = append(j.made, v.ID), append(j.begun, job.ID)
	}
}

// stepOfJob changes a job, or ends it.
func (j *journaled) stepOfJob() (func(verify.Tx) error, func()) {
	nothing := func(verify.Tx) error { return nil }
	if len(j.begun) == 0 {
		return nothing, func() {}
	}
	k := j.begun[len(j.begun)-1-j.rand.IntN(min(len(j.begun), 60))]
	attempt, there := j.jobs[k]
	if !there {
		return nothing, func() {}
	}
	if j.rand.IntN(2) == 0 {
		return func(x verify.Tx) error { x.DropJob(k); return nil }, func() { delete(j.jobs, k) }
	}
	return func(x verify.Tx) error {
		job, err := x.Job(k)
		if err != nil || job == nil || job.Attempt != attempt {
			return fmt.Errorf("job %s is %+v, %w; want attempt %d", k.Text(""), job, err, attempt)
		}
		job.Attempt++
		x.PutJob(*job)
		return nil
	}, func() { j.jobs[k] = attempt + 1 }
}

// commit commits a change, or fails to.
func (j *journaled) commit() {
	j.Helper()
	fails := j.rand.IntN(8) == 0
	if fails {
		j.plan(`CREATE TEMP TRIGGER planned BEFORE INSERT ON segments BEGIN SELECT RAISE(ABORT, 'planned'); END`)
		defer j.plan(`DROP TRIGGER planned`)
	}
	step, done := j.step()
	err := j.db.Do(j.Context(), verify.Needs{}, step)
	if !fails && err != nil {
		j.Fatal(err)
	}
	if err == nil {
		done()
	}
}

func (j *journaled) plan(sql string) {
	if err := j.e.w.c.Exec(sql); err != nil {
		j.Fatal(err)
	}
}

// judge holds what a store says against the model.
func (j *journaled) judge(what string, number func(verify.NumberKey) (*verify.Number, error),
	verification func(id.ID) (*verify.Verification, error)) {
	j.Helper()
	for k, want := range j.numbers {
		n, err := number(k)
		if err != nil || (n == nil) != (want == gone) || n != nil && n.Streak != want {
			j.Fatalf("%s: number %x is %+v, %v; want %d", what, k, n, err, want)
		}
	}
	for k, want := range j.verifications {
		v, err := verification(k)
		if err != nil || v == nil || want != gone && (v.Attempts != want || v.Status != statusOf(want)) ||
			(want == gone) != (v.Sealed == nil) || v.Spec.Country == "" {
			j.Fatalf("%s: verification %s is %+v, %v; want %d", what, k.Text(id.Verification), v, err, want)
		}
	}
}

// judgeJobs holds all jobs against the model.
func (j *journaled) judgeJobs(what string, all map[id.ID]*queue.Job) {
	j.Helper()
	if len(all) != len(j.jobs) {
		j.Errorf("%s: %d jobs, want %d", what, len(all), len(j.jobs))
	}
	for k, want := range j.jobs {
		if job := all[k]; job == nil || job.Attempt != want || !job.Leased || job.Kind != "k" {
			j.Fatalf("%s: job %s is %+v, want attempt %d", what, k.Text(""), job, want)
		}
	}
}

// asWriter judges what the next piece of work sees.
func (j *journaled) asWriter() {
	j.Helper()
	if err := j.db.Do(j.Context(), verify.Needs{}, func(x verify.Tx) error {
		j.judge("the writer", func(k verify.NumberKey) (*verify.Number, error) {
			n, err := x.Number(k)
			if n.Streak == 0 { // a number without a row
				n = nil
			}
			return n, err
		}, x.Verification)
		for k, want := range j.limits {
			if tat, err := x.Limit(k); err != nil || tat != want {
				j.Fatalf("limit %x is %d, %v; want %d", k, tat, err, want)
			}
		}
		return nil
	}); err != nil {
		j.Fatal(err)
	}
	all := map[id.ID]*queue.Job{}
	for k, e := range j.e.jobs.of {
		all[k] = e.Job
	}
	j.judgeJobs("the memory", all)
}

func (j *journaled) asReader(what string, r store.Reader) {
	j.Helper()
	j.judge(what, func(k verify.NumberKey) (*verify.Number, error) { return r.NumberRow(j.Context(), k) },
		func(v id.ID) (*verify.Verification, error) { return r.Find(j.Context(), v) })
	var seen []id.ID
	if err := r.Scan(j.Context(), rowtest.Verification().App, id.ID{},
		func(v *verify.Verification) bool { seen = append(seen, v.ID); return true }); err != nil {
		j.Fatal(err)
	}
	if len(seen) != len(j.made) {
		j.Fatalf("%s: a scan has %d verifications, want %d", what, len(seen), len(j.made))
	}
	for i, v := range seen {
		if want := j.made[len(j.made)-1-i]; v != want {
			j.Fatalf("%s: place %d of a scan is %s, want %s", what, i, v.Text(id.Verification), want.Text(id.Verification))
		}
	}
}

// tables judges what the tables alone say, and that nothing is left in the journal.
func (j *journaled) tables(what, path string) {
	j.Helper()
	c, err := openConn(path)
	if err != nil {
		j.Fatal(err)
	}
	defer c.close()
	d := dialect()
	j.judge(what, func(k verify.NumberKey) (*verify.Number, error) { return d.Number(c, k) },
		func(v id.ID) (*verify.Verification, error) { return d.Verification(c, v) })
	left := 0
	if err := c.Query(sqlSegments, func(tables.Row) error { left++; return nil }); err != nil || left > 0 {
		j.Fatalf("%s: there are %d segments in the journal, %v", what, left, err)
	}
	all, tabled, err := allJobs(c, journal.New(journal.Options{}))
	if err != nil || len(tabled) != len(all) {
		j.Fatal(err)
	}
	j.judgeJobs(what, all)
	for k, want := range j.limits {
		if tat, _, err := d.Limit(c, k); err != nil || tat != want {
			j.Fatalf("%s: limit %x is %d, %v; want %d", what, k, tat, err, want)
		}
	}
}

// crash goes on with the files as they are now, as kill -9 leaves them.
func (j *journaled) crash() {
	j.Helper()
	path := filepath.Join(j.TempDir(), "crashed.db")
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(j.path + end)
		if err != nil {
			j.Fatal(err)
		}
		if err := os.WriteFile(path+end, data, 0o600); err != nil {
			j.Fatal(err)
		}
	}
	before := j.e
	if err := before.Close(); err != nil {
		j.Fatal(err)
	}
	j.tables("after the stop", j.path)
	j.open(path)
}

// guest looks in the middle of the owner's work.
func (j *journaled) guest() {
	j.Helper()
	g, err := OpenGuest(j.path)
	if err != nil {
		j.Fatal(err)
	}
	defer g.Close()
	j.asReader("the guest", g)
	if d, err := g.Depth(j.Context(), j.now); err != nil || d.Open != len(j.jobs) {
		j.Fatalf("the guest sees %d jobs, want %d, %v", d.Open, len(j.jobs), err)
	}
	db := store.Direct(g)
	if err := db.PutApplication(j.Context(), application.Application{ID: j.ids.New(j.now), Name: "shop"}); err != nil {
		j.Fatal(err)
	}
	made := webhook.Event{ID: j.ids.New(j.now), Endpoint: id.ID{1}, Due: j.now}
	if err := db.AddEvents(j.Context(), []webhook.Event{made}); err != nil {
		j.Fatal(err)
	}
	if events, err := j.e.Events(j.Context(), id.ID{1}, webhook.Page{Limit: 1}); err != nil || len(events) != 1 ||
		events[0].ID != made.ID {
		j.Fatalf("the guest's event is %+v, %v", events, err)
	}
	if err := db.Do(j.Context(), verify.Needs{},
		func(x verify.Tx) error { _, err := x.Number(verify.NumberKey{1}); return err }); err == nil {
		j.Fatal("a guest read the row of a number to change it")
	}
}

// purge drops every number and limit that has ended.
func (j *journaled) purge() {
	j.Helper()
	if _, err := j.db.Purge(j.Context(), store.PurgeNumbers, j.now.Add(48*time.Hour)); err != nil {
		j.Fatal(err)
	}
	for k := range j.numbers {
		j.numbers[k] = gone
	}
	if _, err := j.db.Purge(j.Context(), store.PurgeLimits, time.UnixMilli(500_000)); err != nil {
		j.Fatal(err)
	}
	for k, tat := range j.limits {
		if tat < 500_000 {
			j.limits[k] = 0
		}
	}
}

// TestJournal holds an engine against a model: through commits that succeed and fail, compaction in steps and at once,
// guests, upkeep, stops and crashes, every row is what was last committed of it.
func TestJournal(t *testing.T) {
	t.Parallel()
	seeds, rounds := 6, 250
	if os.Getenv("DIALPROOF_SOAK") != "" {
		seeds, rounds = 60, 1000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			j := newJournaled(t, uint64(seed))
			for range rounds {
				switch j.rand.IntN(50) {
				case 0:
					j.guest()
				case 1:
					j.crash()
				case 2:
					j.asReader("a reader", j.e)
				case 3:
					j.asWriter()
				case 4:
					j.purge()
				default:
					j.commit()
				}
			}
			j.asWriter()
			j.asReader("a reader", j.e)
			j.crash()
			j.asWriter()
		})
	}
}

// TestJournalRests: what was put off is done once nobody asks for anything.
func TestJournalRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, err := Open(t.Context(), filepath.Join(t.TempDir(), "rests.db"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		db := store.New(e, nil)
		defer db.Close()
		if err := db.Do(t.Context(), verify.Needs{}, func(x verify.Tx) error {
			x.PutNumber(&verify.Number{Key: verify.NumberKey{9}, Streak: 7})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second - time.Millisecond)
		synctest.Wait()
		if !e.Behind() {
			t.Error("a change went to its table before the store was idle")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		n, err := e.Reader.NumberRow(t.Context(), verify.NumberKey{9})
		if err != nil || n == nil || n.Streak != 7 || e.Behind() {
			t.Errorf("the table has %+v, %v; behind: %t", n, err, e.Behind())
		}
	})
}

// TestOneCycle: a verification from its start to its check is written to its table once, and its job never.
func TestOneCycle(t *testing.T) {
	t.Parallel()
	j := newJournaled(t, 1)
	v := rowtest.Verification()
	v.ID, v.Sealed, v.Status = j.ids.New(j.now), []byte("sealed"), verify.Pending
	job := queue.Job{ID: j.ids.New(j.now), Kind: "k", Due: j.now, Attempt: 1, Ref: v.ID}
	writes := 0
	j.plan(`CREATE TEMP TABLE written (what TEXT)`)
	for _, table := range []string{"verifications", "jobs"} {
		for _, change := range []string{"INSERT", "UPDATE", "DELETE"} {
			j.plan(fmt.Sprintf(`CREATE TEMP TRIGGER %s_%s AFTER %[2]s ON %[1]s BEGIN INSERT INTO written VALUES ('%[1]s'); END`,
				table, change))
		}
	}
	for attempts := range 3 {
		if err := j.db.Do(t.Context(), verify.Needs{}, func(x verify.Tx) error {
			c := *v
			c.Attempts = attempts
			x.PutVerification(&c, attempts == 0)
			switch attempts {
			case 0:
				x.PutJob(job)
			case 1:
				x.DropJob(job.ID)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := transact(j.e.w,
		func() error { _, err := j.e.compact(j.e.j.All(), journal.Begin(nil)); return err }); err != nil {
		t.Fatal(err)
	}
	if err := j.e.w.Query(`SELECT what FROM written`, func(r tables.Row) error {
		writes++
		if string(r.Raw(0)) != "verifications" {
			t.Errorf("%s was written", r.Raw(0))
		}
		return nil
	}); err != nil || writes != 1 {
		t.Errorf("%d writes, want one, %v", writes, err)
	}
}

// TestFailedClaim: when the commit of a claim fails, the jobs are claimed by the next one, as are those that other work
// makes meanwhile.
func TestFailedClaim(t *testing.T) {
	t.Parallel()
	j := newJournaled(t, 1)
	put := func() {
		t.Helper()
		job := queue.Job{ID: j.ids.New(j.now), Kind: "k", Due: j.now, Attempt: 1}
		if err := j.db.Do(t.Context(), verify.Needs{}, func(tx verify.Tx) error { tx.PutJob(job); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		put()
	}
	j.plan(`CREATE TEMP TRIGGER planned BEFORE INSERT ON segments BEGIN SELECT RAISE(ABORT, 'planned'); END`)
	if got, err := j.db.Claim(t.Context(), j.now, "k", 10, time.Minute); err == nil || got != nil {
		t.Errorf("claimed %d jobs by a commit that failed", len(got))
	}
	j.plan(`DROP TRIGGER planned`)
	put()
	if got, err := j.db.Claim(t.Context(), j.now, "k", 10, time.Minute); err != nil || len(got) != 4 {
		t.Errorf("claimed %d of 4 jobs, %v", len(got), err)
	}
}

// TestJournalStaysSmall: numbers that are carried over get their turn.
func TestJournalStaysSmall(t *testing.T) {
	t.Parallel()
	j := newJournaled(t, 1)
	for i := range 3_000 {
		k := verify.NumberKey{byte(i), byte(i >> 8), 3}
		if err := j.db.Do(t.Context(), verify.Needs{},
			func(x verify.Tx) error { x.PutNumber(&verify.Number{Key: k, Streak: i + 1}); return nil }); err != nil {
			t.Fatal(err)
		}
		j.numbers[k] = i + 1
	}
	size := 0
	if err := j.e.w.Query(`SELECT length(segment) FROM segments`,
		func(r tables.Row) error { size += int(r.Int(0)); return nil }); err != nil || size > 12_000 {
		t.Errorf("the journal has %d bytes, %v", size, err)
	}
	j.asWriter()
	j.asReader("a reader", j.e)
}

// TestDamagedSegment: a segment whose bytes have changed is found, the file is not served without it, and repair takes
// it out and keeps the rest.
func TestDamagedSegment(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"a bit":      `UPDATE segments SET segment = substr(segment, 1, 40) || x'ff' || substr(segment, 42) WHERE seq = 2`,
		"cut":        `UPDATE segments SET segment = substr(segment, 1, length(segment) - 1) WHERE seq = 2`,
		"empty":      `UPDATE segments SET segment = x'' WHERE seq = 2`,
		"swapped":    `UPDATE segments SET segment = zeroblob(length(segment)) WHERE seq = 2`,
		"sum":        `UPDATE segments SET segment = substr(segment, 1, 1)|| x'00000000' || substr(segment, 6) WHERE seq = 2`,
		"old format": `UPDATE segments SET segment = x'01' || substr(segment, 2) WHERE seq = 2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJournaled(t, 1)
			for i := range 3 {
				if err := j.db.Do(t.Context(), verify.Needs{}, func(x verify.Tx) error {
					x.PutNumber(&verify.Number{Key: verify.NumberKey{byte(i)}, Streak: i + 1})
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			damaged := filepath.Join(t.TempDir(), "damaged.db")
			if err := Backup(t.Context(), j.path, damaged); err != nil {
				t.Fatal(err)
			}
			c, err := openConn(damaged)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.c.Exec(sql), c.close()); err != nil {
				t.Fatal(err)
			}
			var bad *DamagedError
			if _, err := Open(t.Context(), damaged, Options{}); !errors.As(err, &bad) || len(bad.Damage) != 1 ||
				bad.Damage[0].Segment != 2 || !strings.Contains(err.Error(), "dialproof store repair") {
				t.Fatalf("opened: %v", err)
			}
			if err := Check(t.Context(), damaged); !errors.As(err, &bad) {
				t.Errorf("checked: %v", err)
			}
			if out, err := Repair(damaged, j.now); err != nil || len(out) != 1 {
				t.Fatalf("repaired: %+v, %v", out, err)
			}
			e, err := Open(t.Context(), damaged, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			for i, want := range []bool{true, false, true} {
				if n, err := e.NumberRow(t.Context(), verify.NumberKey{byte(i)}); err != nil || (n != nil) != want {
					t.Errorf("number %d: %+v, %v", i, n, err)
				}
			}
		})
	}
}
