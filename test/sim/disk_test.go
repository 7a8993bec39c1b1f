package sim

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/verify"
)

// disk is a file system whose writes fail when the test says so: with a full disk, with an I/O error after half of a
// write, or when what was written is to be made durable.
type disk struct {
	mu      sync.Mutex
	writes  int // writes and syncs so far
	from    int // the first one that fails; 0: none
	until   int // the last one that fails
	kind    string
	stopped bool // a sync has failed
}

// The kinds of failing.
const (
	full     = "disk full"
	torn     = "I/O error after half of a write"
	lostSync = "I/O error at a sync, after the write"
)

// next returns how this write ends.
func (d *disk) next(sync bool) (err error, half bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	if d.from == 0 || d.writes < d.from || d.writes > d.until {
		return nil, false
	}
	switch {
	case d.kind == full && !sync:
		return vfs.SystemError(errors.New("no space left on device"), sqlite3.FULL), false
	case d.kind == torn && !sync:
		return vfs.SystemError(errors.New("input/output error"), sqlite3.IOERR_WRITE), true
	case d.kind == lostSync && sync:
		d.stopped = true
		return vfs.SystemError(errors.New("input/output error"), sqlite3.IOERR_FSYNC), true
	}
	return nil, false
}

// fail lets writes fail from the n-th from now on, m of them.
func (d *disk) fail(n, m int, kind string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.from, d.until, d.kind = d.writes+n, d.writes+n+m-1, kind
}

// syncFailed reports whether a sync has failed.
func (d *disk) syncFailed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopped
}

func (d *disk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes
}

// Open implements vfs.VFS.
func (d *disk) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := vfsutil.WrapOpen(vfs.Find(""), name, flags)
	return d.wrap(f), out, err
}

// OpenFilename implements vfs.VFSFilename.
func (d *disk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := vfsutil.WrapOpenFilename(vfs.Find(""), name, flags)
	return d.wrap(f), out, err
}

func (d *disk) wrap(f vfs.File) vfs.File {
	if f == nil {
		return nil
	}
	return &diskFile{f, d}
}

func (*disk) Delete(name string, syncDir bool) error { return vfs.Find("").Delete(name, syncDir) }
func (*disk) Access(name string, flags vfs.AccessFlag) (bool, error) {
	return vfs.Find("").Access(name, flags)
}
func (*disk) FullPathname(name string) (string, error) { return vfs.Find("").FullPathname(name) }

type diskFile struct {
	vfs.File
	d *disk
}

func (f *diskFile) Unwrap() vfs.File               { return f.File }
func (f *diskFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }
func (f *diskFile) LockState() vfs.LockLevel       { return vfsutil.WrapLockState(f.File) }

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	err, half := f.d.next(false)
	if half {
		_, _ = f.File.WriteAt(p[:len(p)/2], off)
	}
	if err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *diskFile) Sync(flags vfs.SyncFlag) error {
	if err, _ := f.d.next(true); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

// deskCore is the core on a store, with a dispatcher that keeps what it is given.
type deskCore struct {
	*verify.Service
	db     *store.DB
	caller application.Caller
}

type noDispatch struct{}

func (noDispatch) Admit() bool                      { return true }
func (noDispatch) Reserve() bool                    { return true }
func (noDispatch) Release()                         {}
func (noDispatch) Dispatch(queue.Job, *verify.Made) {}

type oneRoute struct{}

func (oneRoute) Plan(phone.Number, channel.Kind, bool, string) (route, reason string, ok bool) {
	return "any", "priority", true
}

func (c *deskCore) Application(id.ID) (application.Application, error) { return *c.caller.App, nil }

func openDesk(t *testing.T, path string) *deskCore {
	t.Helper()
	e, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return openDeskOn(t, e)
}

func openDeskOn(t *testing.T, e store.Engine) *deskCore {
	t.Helper()
	db := store.New(e, nil)
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: []byte("0123456789abcdef0123456789abcdef")}})
	if err != nil {
		t.Fatal(err)
	}
	last, err := db.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	app := application.Application{ID: id.ID{1}, Name: "shop", Brand: "Shop"}
	limits := verify.DefaultLimits()
	limits.Sends.Gaps, limits.Sends.Windows = nil, nil
	return &deskCore{
		Service: verify.New(verify.Options{
			Store:        db,
			Router:       oneRoute{},
			Dispatch:     noDispatch{},
			Ring:         ring,
			IDs:          id.NewSource(last),
			Now:          time.Now,
			AllowFiction: true,
			Limits:       limits,
			Metrics:      uncounted{},
		}),
		db: db,
		caller: application.Caller{
			App: &app,
			Key: &application.Key{App: app.ID, Mode: application.Live, Scopes: []application.Scope{application.Verify}},
		},
	}
}

func (c *deskCore) code(t *testing.T, v *verify.Verification) string {
	t.Helper()
	m, _, _, err := verify.Composer{Service: c.Service, Apps: c}.Compose(t.Context(), v.ID, v.Deliveries[0])
	if err != nil {
		t.Fatal(err)
	}
	return m.Code.Reveal()
}

// ledger is what the clients of a store know.
type ledger struct {
	acked    []id.ID
	approved map[id.ID]int
	refused  int
}

// work starts and checks; what fails must fail as unavailable.
func (l *ledger) work(t *testing.T, c *deskCore, n int) {
	t.Helper()
	for i := range n {
		v, err := c.Start(t.Context(), c.caller, verify.StartRequest{To: number(i)})
		if !l.fine(t, err) {
			continue
		}
		l.acked = append(l.acked, v.ID)
		code := c.code(t, v)
		for range 2 {
			a, err := c.Check(t.Context(), c.caller, verify.CheckRequest{ID: v.ID, Code: code})
			if l.fine(t, err) && a.Result == verify.ResultApproved {
				l.approved[v.ID]++
			}
		}
	}
}

func (l *ledger) fine(t *testing.T, err error) bool {
	t.Helper()
	if err == nil {
		return true
	}
	if !errors.Is(err, &verify.Error{Code: verify.CodeUnavailable}) {
		t.Errorf("a store that fails answers %v", err)
	}
	l.refused++
	return false
}

// hold compares the store with what its clients know.
func (l *ledger) hold(t *testing.T, c *deskCore, when string) {
	t.Helper()
	for _, v := range l.acked {
		kept, err := c.db.Find(t.Context(), v)
		if err != nil || kept == nil {
			t.Errorf("%s: an acknowledged start is gone: %v", when, err)
			continue
		}
		if l.approved[v] > 1 || (l.refused == 0 && l.approved[v] != 1) ||
			(l.approved[v] == 1 && kept.Status != verify.Approved) {
			t.Errorf("%s: approved %d times, and is %s", when, l.approved[v], kept.Status)
		}
	}
	jobs := 0
	err := c.db.Scan(t.Context(), c.caller.App.ID, id.ID{}, countRows(&jobs))
	if depth, err2 := c.db.Depth(t.Context(), time.Now()); err != nil || err2 != nil || depth.Open != jobs {
		t.Errorf("%s: %d verifications and %d jobs, %v %v: a start was written in part", when, jobs, depth.Open, err, err2)
	}
}

func countRows(n *int) func(*verify.Verification) bool {
	return func(*verify.Verification) bool { *n++; return true }
}

// TestDisk fails each write and each sync of SQLite in turn, for a while, and then lets the space return. The store
// answers 503 while it lasts, works again without a restart, unless a sync has failed, and after one: nothing that was
// acknowledged is lost, and nothing is there in part.
func TestDisk(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{full, torn, lostSync} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			runs, refused := 0, 0
			for from := 1; ; from++ {
				l := &ledger{approved: map[id.ID]int{}}
				if !oneDisk(t, l, kind, from) || t.Failed() {
					break
				}
				runs, refused = runs+1, refused+l.refused
			}
			if t.Logf("%d runs, %d requests refused", runs, refused); runs < 10 || refused < runs/2 {
				t.Errorf("%d runs and %d requests refused: too few to show anything", runs, refused)
			}
		})
	}
}

// oneDisk fails from one write on, and reports whether that write came.
func oneDisk(t *testing.T, l *ledger, kind string, from int) bool {
	t.Helper()
	d := &disk{}
	name := fmt.Sprintf("faulty-%p", d)
	vfs.Register(name, d)
	defer vfs.Unregister(name)
	path := filepath.Join(t.TempDir(), "dialproof.db")
	c := openDesk(t, "file:"+path+"?vfs="+name)
	l.work(t, c, 2)
	before := d.count()
	d.fail(from, 4, kind)
	l.work(t, c, 4)
	came := d.count() >= before+from
	d.fail(0, 0, "")
	before = len(l.acked)
	l.work(t, c, 2)
	stopped := d.syncFailed()
	if got := len(l.acked) - before; got != 2 && !stopped || got > 0 && stopped {
		t.Errorf("%s at write %d: %d of 2 starts afterwards", kind, from, got)
	}
	if !stopped {
		l.hold(t, c, "while it runs")
	}
	if err := c.db.Close(); (err != nil) != stopped ||
		stopped != errors.Is(c.db.Failed(t.Context()), sqlite.ErrSyncFailed) {
		t.Errorf("%s at write %d: %v, %v", kind, from, err, c.db.Failed(t.Context()))
	}
	again := openDesk(t, path)
	l.hold(t, again, "after a restart")
	l.work(t, again, 1)
	if err := again.db.Close(); err != nil {
		t.Error(err)
	}
	return came
}
