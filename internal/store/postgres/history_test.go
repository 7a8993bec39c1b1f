package postgres

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func history1(log *bytes.Buffer) *history {
	return &history{
		log:  slog.New(slog.NewTextHandler(log, nil)),
		last: standing{System: "7", Timeline: 2, Mark: 5, LSN: 1000},
	}
}

func serverAt(timeline int64, lsn uint64) *pgServer {
	return &pgServer{standing: standing{System: "7", Timeline: timeline, LSN: lsn}, address: "10.0.0.1:5432", started: "1"}
}

// TestServersBehind judges servers by what was last written to.
func TestServersBehind(t *testing.T) {
	t.Parallel()
	other := serverAt(2, 2000)
	other.System = "8"
	for name, c := range map[string]struct {
		server *pgServer
		behind bool
	}{
		"the same":              {serverAt(2, 1000), false},
		"further":               {serverAt(2, 1001), false},
		"less":                  {serverAt(2, 999), true},
		"older timeline":        {serverAt(1, 9999), true},
		"newer timeline":        {serverAt(3, 500), false},
		"another cluster":       {other, true},
		"newer, but not newest": {serverAt(3, 3000), true},
	} {
		h := history1(&bytes.Buffer{})
		if strings.HasSuffix(name, "newest") {
			h.seen(serverAt(4, 10))
		}
		if err := h.judge(c.server); errors.Is(err, ErrBehind) != c.behind {
			t.Errorf("%s: %v", name, err)
		}
	}
	h := history1(&bytes.Buffer{})
	lost := serverAt(2, 1000)
	for server, want := range map[*pgServer]bool{lost: false, serverAt(3, 1): false, serverAt(1, 9999): true,
		other: true} {
		if got := h.passed(server); got != want {
			t.Errorf("timeline %d of %s: passed %t", server.Timeline, server.System, got)
		}
	}
	h.forfeit(lost)
	if !h.passed(lost) {
		t.Error("a server that has lost commits still counts")
	}
	if err := h.judge(serverAt(2, 5000)); !errors.Is(err, ErrBehind) {
		t.Errorf("a server that has lost commits: %v", err)
	}
	if err := h.marked(lost, 5); err != nil {
		t.Errorf("the mark of the timeline: %v", err)
	}
	for _, mark := range []int64{0, 6} {
		if err := h.marked(serverAt(3, 5000), mark); !errors.Is(err, ErrBehind) {
			t.Errorf("mark %d: %v", mark, err)
		}
	}
	if err := (&history{}).judge(serverAt(1, 1)); err != nil {
		t.Errorf("a node that knows nothing: %v", err)
	}
}

// TestHistoryIsKept keeps what is known in a file, and reads it again.
func TestHistoryIsKept(t *testing.T) {
	t.Parallel()
	o := Options{Memory: filepath.Join(t.TempDir(), "server.json")}.defaults()
	begun := func() *history {
		h := &history{}
		if err := h.begin(o); err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := begun()
	h.adopt(serverAt(3, 0x2_0000_0010), 77)
	if got, want := begun().last, (standing{"7", 3, 77, 0x2_0000_0010}); got != want {
		t.Errorf("a new server: %+v, want %+v", got, want)
	}
	h.committed(serverAt(3, 0), 0x2_0000_0020)
	h.committed(serverAt(3, 0), 0x2_0000_0018) // an older one, of another lane
	h.committed(serverAt(2, 0), 0x9_0000_0000) // of another server
	h.keep()
	if got := begun().last.LSN; got != 0x2_0000_0020 {
		t.Errorf("the position is %x", got)
	}
	if info, err := os.Stat(o.Memory); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if all, err := os.ReadDir(filepath.Dir(o.Memory)); err != nil || len(all) != 1 {
		t.Errorf("the folder has %v, %v", all, err)
	}
	tool := begun()
	tool.looks = true
	tool.adopt(serverAt(9, 1), 1)
	if got := begun().last.Timeline; got != 3 {
		t.Errorf("a tool has written timeline %d", got)
	}
	for _, damaged := range []string{"", "{}", `{"system":"7","timeline":3,"mark":77,"lsn":"x"}`, `{"system":`} {
		if err := os.WriteFile(o.Memory, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (&history{}).begin(o); err == nil {
			t.Errorf("%q was taken for a file that says nothing", damaged)
		}
	}
}

// TestRefusalsAreTwoLines counts what the log says of a server that is refused again and again.
func TestRefusalsAreTwoLines(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := history1(&log)
	old := serverAt(1, 500)
	for range 50 {
		if err := h.refused(old, h.judge(old)); !errors.Is(err, ErrBehind) {
			t.Fatal(err)
		}
	}
	standby := *old
	standby.standby = true
	h.seen(&standby)
	h.seen(&standby)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "is refused") || !strings.Contains(lines[1], "refusals=50") {
		t.Errorf("the log says\n%s", log.String())
	}
}

// TestClockJumps sets this machine's clock, and then the database's, by an hour. The first changes nothing; the second
// is followed, as all nodes follow it, and told.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	var off time.Duration
	c := pgClock{
		local: func() time.Time { return time.Now().Add(off).Round(0) },
		log:   slog.New(slog.NewTextHandler(&text, nil)),
	}
	read := func(db time.Duration) { now := time.Now(); c.measured(now, now, now.Add(db)) }
	ahead := func() time.Duration { return time.Until(c.now()).Round(time.Second) }
	read(10 * time.Second)
	for _, off = range []time.Duration{time.Hour, -time.Hour, 0} {
		if got := ahead(); got != 10*time.Second {
			t.Errorf("this machine's clock was set by %s: the time is %s ahead, want 10 s", off, got)
		}
		read(10 * time.Second)
		if got, want := time.Duration(c.offset.Load()).Round(time.Second), 10*time.Second-off; got != want {
			t.Errorf("this machine's clock is %s behind, want %s", got, want)
		}
	}
	if text.Len() > 0 {
		t.Errorf("the log says %s", text.String())
	}
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		read(jump)
		if got := ahead(); got != jump {
			t.Errorf("the database's clock jumped: the time is %s ahead, want %s", got, jump)
		}
	}
	if got := strings.Count(text.String(), "clock has jumped"); got != 2 {
		t.Errorf("%d jumps were told:\n%s", got, text.String())
	}
}
