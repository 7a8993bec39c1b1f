package store

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
	"github.com/dialproof/dialproof/internal/verify"
)

// journaled is an engine with a small journal beside a model of what it was told.
type journaled struct {
	*testing.T
	path string
	e    *sqlite
	ids  *id.Source
	rand *rand.Rand
	now  time.Time

	numbers       map[verify.NumberKey]int // streaks
	verifications map[id.ID]int            // attempts; forgotten: gone
	made          []id.ID
	used          map[id.ID]bool // by the commit that is being made up
}

const gone = -1

// statusOf makes a quarter of the verifications ones that nobody is expected to ask for again.
func statusOf(attempts int) verify.Status {
	if attempts%4 == 0 {
		return verify.Approved
	}
	return verify.Pending
}

func newJournaled(t *testing.T, seed uint64) *journaled {
	t.Helper()
	j := &journaled{
		T: t, path: filepath.Join(t.TempDir(), "journal.db"), ids: id.NewSource(id.ID{}), rand: rand.New(rand.NewPCG(seed, 0)), now: time.UnixMilli(1_800_000_000_000),
		numbers: map[verify.NumberKey]int{}, verifications: map[id.ID]int{},
	}
	j.open(j.path)
	return j
}

func (j *journaled) open(path string) {
	j.Helper()
	e, err := openSQLite(path, false)
	if err != nil {
		j.Fatal(err)
	}
	// Reopened at each crash: what the file has is what the tables have.
	e.journal.foldAt, e.journal.step, e.b.hot = 6_000, 900, 3
	j.path, j.e = path, e
}

// work is a piece of work of one to four changes, and what it makes of the model when it is committed.
func (j *journaled) work() (run func(*tx) error, done func()) {
	var steps []func(*tx) error
	var after []func()
	for range 1 + j.rand.IntN(4) {
		step, then := j.step()
		steps, after = append(steps, step), append(after, then)
	}
	run = func(x *tx) error {
		for _, step := range steps {
			if err := step(x); err != nil {
				return err
			}
		}
		return nil
	}
	return run, func() {
		for _, then := range after {
			then()
		}
	}
}

func (j *journaled) step() (func(*tx) error, func()) {
	if j.rand.IntN(2) == 0 || len(j.made) == 0 && j.rand.IntN(2) == 0 {
		k := verify.NumberKey{byte(j.rand.IntN(30) * 8), 1}
		streak := 1 + j.rand.IntN(1_000_000)
		return func(x *tx) error {
			x.PutNumber(&verify.Number{Key: k, Streak: streak})
			return nil
		}, func() { j.numbers[k] = streak }
	}
	if j.rand.IntN(3) == 0 || len(j.made) == 0 {
		v := fullVerification()
		v.ID, v.Sealed, v.Attempts = j.ids.New(j.now), []byte("sealed"), j.rand.IntN(1_000_000)
		v.Status = statusOf(v.Attempts)
		return func(x *tx) error { x.PutVerification(v, true); return nil }, func() {
			j.verifications[v.ID] = v.Attempts
			j.made = append(j.made, v.ID)
		}
	}
	k := j.made[len(j.made)-1-j.rand.IntN(min(len(j.made), 40))]
	if j.used[k] {
		return func(*tx) error { return nil }, func() {}
	}
	j.used[k] = true
	attempts, forget := 1+j.rand.IntN(1_000_000), j.rand.IntN(20) == 0
	if forget || j.verifications[k] == gone {
		attempts = gone
	}
	return func(x *tx) error {
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

var errPlanned = errors.New("planned")

// commit commits a few pieces of work, or fails to.
func (j *journaled) commit(e *sqlite) {
	j.Helper()
	fails := j.rand.IntN(8) == 0
	j.used = map[id.ID]bool{}
	var ops []*op
	var done []func()
	for range 1 + j.rand.IntN(3) {
		run, then := j.work()
		ops, done = append(ops, &op{run: run}), append(done, then)
	}
	switch j.rand.IntN(25) {
	case 0:
		ops[0].folds = foldSome
	case 1:
		ops[0].folds = foldAll
	}
	if fails {
		last := ops[len(ops)-1].run
		ops[len(ops)-1].run = func(x *tx) error {
			x.put(func(conn) error { return errPlanned }) // when everything else has been written
			return last(x)
		}
	}
	err := e.commit(j.Context(), 0, ops)
	if fails != errors.Is(err, errPlanned) || !fails && err != nil {
		j.Fatal(err)
	}
	for i, o := range ops {
		if o.err != nil {
			j.Fatal(o.err)
		}
		if !fails {
			done[i]()
		}
	}
}

// judge holds what a store answers against the model.
func (j *journaled) judge(what string, number func(verify.NumberKey) (*verify.Number, error), verification func(id.ID) (*verify.Verification, error)) {
	j.Helper()
	for k, want := range j.numbers {
		if n, err := number(k); err != nil || n == nil || n.Streak != want {
			j.Fatalf("%s: number %x is %+v, %v; want %d", what, k, n, err, want)
		}
	}
	for k, want := range j.verifications {
		v, err := verification(k)
		if err != nil || v == nil || want != gone && (v.Attempts != want || v.Status != statusOf(want)) || (want == gone) != (v.Sealed == nil) || v.Spec.Country == "" {
			j.Fatalf("%s: verification %s is %+v, %v; want %d", what, k.Text(id.Verification), v, err, want)
		}
	}
}

// asWriter judges what the next piece of work sees.
func (j *journaled) asWriter() {
	j.Helper()
	o := &op{run: func(x *tx) error {
		j.judge("the writer", x.Number, x.Verification)
		return nil
	}}
	if err := j.e.commit(j.Context(), 0, []*op{o}); err != nil || o.err != nil {
		j.Fatal(err, o.err)
	}
}

func (j *journaled) asReader(what string, e *sqlite) {
	j.Helper()
	db := &DB{engine: e, d: e.dialect()}
	j.judge(what, func(k verify.NumberKey) (*verify.Number, error) { return db.NumberRow(j.Context(), k) },
		func(v id.ID) (*verify.Verification, error) { return db.Find(j.Context(), v) })
}

// tables judges what the tables alone say, and that nothing is left in the journal.
func (j *journaled) tables(what string, e *sqlite) {
	j.Helper()
	j.judge(what, func(k verify.NumberKey) (*verify.Number, error) { return readNumber(e.w, "", k) },
		func(v id.ID) (*verify.Verification, error) { return e.dialect().readVerification(e.w, v) })
	if row, err := findAnyPage(e); err != nil || row {
		j.Fatalf("%s: there are pages in the journal, %v", what, err)
	}
}

func findAnyPage(e *sqlite) (found bool, err error) {
	err = e.w.query(litePages, func(row) error { found = true; return nil })
	return found, err
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
	if err := j.e.close(); err != nil {
		j.Fatal(err)
	}
	j.tables("after the stop", j.reopened(j.path))
	j.open(path)
	j.tables("after the crash", j.e)
}

// reopened answers an engine on a file that nobody has open, until the test ends.
func (j *journaled) reopened(path string) *sqlite {
	j.Helper()
	e, err := openSQLite(path, true)
	if err != nil {
		j.Fatal(err)
	}
	j.Cleanup(func() { e.close() })
	return e
}

// guest looks, and changes something in the middle of the owner's work.
func (j *journaled) guest() {
	j.Helper()
	g, err := openSQLite(j.path, true)
	if err != nil {
		j.Fatal(err)
	}
	defer g.close() //nolint:errcheck // what it has changed is looked at below
	j.asReader("the guest", g)
	j.commit(g)
	if err := g.commit(j.Context(), 0, []*op{{folds: foldAll, run: func(*tx) error { return nil }}}); err != nil {
		j.Fatal(err)
	}
	j.tables("the guest's tables", g)
}

// TestJournal holds a store against a model: through commits that succeed and fail, folding in steps and at once, guests, stops and
// crashes, every row is what was last committed of it.
func TestJournal(t *testing.T) {
	t.Parallel()
	seeds, rounds := 6, 150
	if os.Getenv("DIALPROOF_SOAK") != "" {
		seeds, rounds = 60, 600
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			j := newJournaled(t, uint64(seed))
			defer func() { j.e.close() }()
			for range rounds {
				switch j.rand.IntN(40) {
				case 0:
					j.guest()
				case 1:
					j.crash()
				case 2:
					j.asReader("a reader", j.e)
				case 3:
					j.asWriter()
				default:
					j.commit(j.e)
				}
				if size := j.e.journal.size; size > 3*j.e.journal.foldAt {
					t.Fatalf("the journal has grown to %d bytes", size)
				}
			}
			j.asWriter()
			j.asReader("a reader", j.e)
			j.crash()
		})
	}
}

// TestJournalRests: what was put off is done once nobody asks for anything.
func TestJournalRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "rests.db")})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Do(t.Context(), verify.Needs{}, func(x verify.Tx) error {
			x.PutNumber(&verify.Number{Key: verify.NumberKey{9}, Streak: 7})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		e, _ := db.engine.(*sqlite)
		time.Sleep(calm - time.Millisecond)
		synctest.Wait()
		if !e.behind() {
			t.Error("a change went to its table before it was calm")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		var n *verify.Number
		err = e.read(t.Context(), func(c conn) error { n, err = readNumber(c, "", verify.NumberKey{9}); return err })
		if err != nil || n == nil || n.Streak != 7 || e.behind() {
			t.Errorf("the table has %+v, %v; behind: %v", n, err, e.behind())
		}
	})
}

// TestGuestsLeaveTheJournal: a tool that makes a key, or looks, does not make the server fold.
func TestGuestsLeaveTheJournal(t *testing.T) {
	t.Parallel()
	j := newJournaled(t, 1)
	defer func() { j.e.close() }()
	k := verify.NumberKey{7}
	put := func(streak int) {
		t.Helper()
		o := &op{run: func(x *tx) error { x.PutNumber(&verify.Number{Key: k, Streak: streak}); return nil }}
		if err := j.e.commit(t.Context(), 0, []*op{o}); err != nil || o.err != nil {
			t.Fatal(err, o.err)
		}
		j.numbers[k] = streak
	}
	put(1)
	guest, err := Open(t.Context(), Options{Path: j.path, Guest: true})
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	if err := guest.PutApplication(t.Context(), application.Application{ID: id.ID{1}, Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	if _, err := guest.Last(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(2)
	if n := len(j.e.journal.pages); n != 2 || j.e.journal.hidden {
		t.Errorf("the journal has %d pages, want 2", n)
	}
	j.asWriter()
	j.asReader("a reader", j.e)
}

// TestJournalOfOneCycle: a verification from its start to its check is written to its table once, when it is folded.
func TestJournalOfOneCycle(t *testing.T) {
	t.Parallel()
	j := newJournaled(t, 1)
	defer func() { j.e.close() }()
	v := fullVerification()
	v.ID, v.Status, v.Sealed = j.ids.New(j.now), verify.Pending, []byte("sealed")
	put := func(attempts int, table any) {
		t.Helper()
		o := &op{run: func(x *tx) error {
			c := *v
			c.Attempts, c.Status = attempts, statusOf(attempts)
			x.PutVerification(&c, attempts == 1)
			return nil
		}}
		if err := j.e.commit(t.Context(), 0, []*op{o}); err != nil || o.err != nil {
			t.Fatal(err, o.err)
		}
		if row, err := j.e.dialect().readVerification(j.e.w, v.ID); err != nil || row == nil && table != nil || row != nil && row.Attempts != table {
			t.Errorf("after %d the table has %+v, %v", attempts, row, err)
		}
		j.verifications[v.ID] = attempts
	}
	put(1, nil)
	put(2, nil)
	put(3, nil)
	if err := j.e.commit(t.Context(), 0, []*op{{folds: foldAll, run: func(*tx) error { return nil }}}); err != nil {
		t.Fatal(err)
	}
	j.tables("the tables", j.e)
	put(5, 5) // there is nothing left to wait for
	j.asWriter()
}

// TestJournalStaysSmall: numbers that are carried over get their turn.
func TestJournalStaysSmall(t *testing.T) {
	t.Parallel()
	j := newJournaled(t, 1)
	defer func() { j.e.close() }()
	for i := range 3_000 {
		k := verify.NumberKey{byte(i), byte(i >> 8), 3}
		o := &op{run: func(x *tx) error { x.PutNumber(&verify.Number{Key: k, Streak: i}); return nil }}
		if err := j.e.commit(t.Context(), 0, []*op{o}); err != nil || o.err != nil {
			t.Fatal(err, o.err)
		}
		j.numbers[k] = i
		if size := j.e.journal.size; size > 2*j.e.journal.foldAt {
			t.Fatalf("after %d numbers the journal has %d bytes", i+1, size)
		}
	}
	j.asWriter()
	j.asReader("a reader", j.e)
}

// TestDamagedJournal: a page that cannot be read is an error that says so; the file is not served without it.
func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"cut":     `INSERT INTO journal (seq, page) VALUES (1, x'0101020304')`,
		"a gap":   `INSERT INTO journal (seq, page) VALUES (1, x''), (3, x'')`,
		"no kind": `INSERT INTO journal (seq, page) VALUES (1, x'090102030405060708090a0b0c0d0e0f100000000100')`,
		"a row":   `INSERT INTO journal (seq, page) VALUES (1, x'010102030405060708090a0b0c0d0e0f100000000100')`,
	} {
		path := filepath.Join(t.TempDir(), "damaged.db")
		e, err := openSQLite(path, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(e.close()); err != nil {
			t.Fatal(err)
		}
		c, err := openConn(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.c.Exec(sql), c.close()); err != nil {
			t.Fatal(err)
		}
		if _, err := openSQLite(path, false); !errors.Is(err, errRow) || !strings.Contains(err.Error(), "the journal") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzPage: whatever the bytes of a page are, walking and splitting them ends, in rows or in an error.
func FuzzPage(f *testing.F) {
	v := fullVerification()
	f.Add(appendPageNumber(appendPageVerification(nil, v), fullNumber()))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, page []byte) {
		at := 0
		err := walk(page, func(k rowKey, begin, end int) error {
			if begin != at+rowHead || end < begin || end > len(page) {
				t.Fatalf("a row at %d of %d to %d", at, begin, end)
			}
			at = end
			if k.kind == verificationRow {
				_, _ = splitVerification(string(page[begin:end]))
				_, _ = readVerificationRow(id.ID(k.key), page[begin:end])
			}
			return nil
		})
		if err == nil && at != len(page) {
			t.Fatalf("%d of %d bytes were walked", at, len(page))
		}
	})
}
