package sqlite

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/sqlite/powertest"
	"github.com/dialproof/dialproof/internal/store/tables"
)

// openSmall opens a store whose journal and log are so small that it folds and checkpoints all the time.
func openSmall(t testing.TB, uri string) (*store.DB, error) {
	t.Helper()
	e, err := Open(t.Context(), uri,
		Options{Migrate: true, Journal: journal.Options{Limit: 16 << 10, Step: 4 << 10}, CheckpointPages: 60})
	if err != nil {
		return nil, err
	}
	return store.New(e, nil), nil
}

// history is one run of clients on a disk that records, with a restart in the middle.
type history struct {
	*powertest.Load
	disk *powertest.Disk
}

// plan is how a history goes.
type plan struct {
	faults  powertest.Faults
	runs    int // of the server
	starts  int // in each
	clients int
	mute    bool // no message goes out
}

func record(t testing.TB, p plan) *history {
	t.Helper()
	d := powertest.NewDisk(p.faults)
	name := fmt.Sprintf("recorder%p", d)
	vfs.Register(name, d)
	defer vfs.Unregister(name)
	h := &history{powertest.NewLoad(t, d.Ack), d}
	uri := "file:" + filepath.Join(t.TempDir(), "dialproof.db") + "?vfs=" + name
	for range p.runs {
		db, err := openSmall(t, uri)
		for tries := 1; err != nil && tries < 20; tries++ { // there was no room
			db, err = openSmall(t, uri)
		}
		if err != nil {
			t.Logf("the store cannot be opened: %v", err)
			return h
		}
		h.Run(t, db, p.starts, p.clients, !p.mute)
		if err := h.Broken(); err != nil && p.faults == (powertest.Faults{}) {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil && p.faults == (powertest.Faults{}) {
			t.Error(err)
		}
	}
	return h
}

// unsyncedName is the file system on which images are opened: their files are of no use when the test is over.
const unsyncedName = "unsynced"

// judge opens the real store on an image and returns what is wrong with it.
func (h *history) judge(t testing.TB, m powertest.Image, acked []powertest.Ack) (faults []string) {
	t.Helper()
	folder := t.TempDir()
	if err := m.Write(folder); err != nil {
		t.Fatal(err)
	}
	uri := "file:" + filepath.Join(folder, "dialproof.db") + "?vfs=" + unsyncedName
	db, err := openSmall(t, uri)
	if err != nil {
		return []string{fmt.Sprintf("the store cannot be opened: %v", err)}
	}
	faults = append(faults, whole(t, uri)...)
	faults = append(faults, h.Judge(t, db, acked)...)
	if err := db.Close(); err != nil {
		faults = append(faults, fmt.Sprintf("the store cannot be closed: %v", err))
	}
	_ = os.RemoveAll(folder) // there are thousands of them
	return faults
}

// whole returns what SQLite finds wrong with a file.
func whole(t testing.TB, uri string) (faults []string) {
	t.Helper()
	c, err := openConn(uri)
	if err != nil {
		return []string{fmt.Sprintf("it cannot be opened: %v", err)}
	}
	defer c.close()
	err = c.Query("PRAGMA integrity_check", func(r tables.Row) error {
		if said := string(r.Raw(0)); said != "ok" {
			faults = append(faults, "integrity_check: "+said)
		}
		return nil
	})
	if err != nil {
		faults = append(faults, fmt.Sprintf("integrity_check: %v", err))
	}
	return faults
}

// cuts judges n images of each combination of a cut and a treatment, and returns how many it judged.
func (h *history) cuts(t testing.TB, seed uint64, n int, found func(what string, m powertest.Image)) (judged int) {
	t.Helper()
	vfs.Register(unsyncedName, powertest.NewUnsynced())
	chance := rand.New(rand.NewPCG(seed, 0))
	for i := range n {
		for _, c := range powertest.Cuts() {
			for _, tr := range powertest.Treatments() {
				m, acked, ok := h.disk.Cut(c, tr, chance)
				if !ok {
					found(fmt.Sprintf("no moment %s", c), nil)
					continue
				}
				judged++
				if faults := h.judge(t, m, acked); len(faults) > 0 {
					found(fmt.Sprintf("seed %d, cut %d %s, unsynced writes %s, %d acknowledged: %s", seed, i, c, tr, len(acked),
						strings.Join(faults, "; ")), m)
				}
			}
		}
	}
	return judged
}

// TestPower cuts the power, and holds that what was acknowledged is kept.
func TestPower(t *testing.T) {
	t.Parallel()
	rounds, each := 1, 3
	if os.Getenv("DIALPROOF_SOAK") != "" {
		rounds, each = 6, 7
	}
	seed := rand.Uint64()
	for name, p := range map[string]plan{
		// Who is answered while nobody else writes finds everything synced, so a sync that is left out stands out.
		"one client":      {runs: 2, starts: 50, clients: 1, mute: true},
		"many clients":    {runs: 2, starts: 60, clients: 6},
		"often full":      {runs: 2, starts: 60, clients: 6, faults: powertest.Faults{Full: 10}},
		"syncs that fail": {runs: 4, starts: 40, clients: 6, faults: powertest.Faults{FailSync: 60}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range rounds {
				h := record(t, p)
				acked, refused := h.Counts()
				judged := h.cuts(t, seed+uint64(i), each, func(what string, m powertest.Image) {
					t.Errorf("%s (its files with -artifacts: %s)", what, keep(t, m))
				})
				t.Logf("history %d: %d acknowledged, %d refused, %d images", i, acked, refused, judged)
			}
		})
	}
}

// keep writes an image where it outlives the test, if such a place was asked for.
func keep(t *testing.T, m powertest.Image) string {
	t.Helper()
	folder, err := os.MkdirTemp(t.ArtifactDir(), "image") //nolint:usetesting // it outlives the test when the artifacts do
	if err == nil {
		err = m.Write(folder)
	}
	if err != nil {
		t.Error(err)
	}
	return folder
}

// TestPowerPlanted: each way of losing writes is found by the same cuts, so they find it when they find nothing.
func TestPowerPlanted(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]powertest.Faults{
		"one sync in twenty is left out":     {LoseSync: 20},
		"the log is never synced":            {LoseLogSyncs: true},
		"a write that failed is passed over": {Full: 2, PassOver: true},
		"a sync that failed is passed over":  {FailSync: 20, PassOver: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range 20 {
				h := record(t, plan{runs: 1, starts: 40, clients: 1, mute: true, faults: f})
				if err := h.Broken(); err != nil {
					t.Logf("found by history %d, while it ran: %v", i, err)
					return
				}
				var first string
				judged := h.cuts(t, uint64(i), 1, func(what string, m powertest.Image) {
					if m != nil && first == "" {
						first = what
					}
				})
				if first != "" {
					t.Logf("found by history %d, %d images: %.300s", i, judged, first)
					return
				}
			}
			t.Error("not found")
		})
	}
}
