package postgres

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// history is what this node knows of the server that it writes to. A server that is behind it is refused: an old
// primary that came back after a failover, a copy, a backup. Its zero value knows nothing.
type history struct {
	log *slog.Logger
	// file outlives the process; empty: there is none.
	file string
	// looks tells that the file is another process's: it is read and never written.
	looks bool

	// current is the server that connections may lead to; nil: the next connection says which.
	current atomic.Pointer[pgServer]
	// blind is set while servers do not say who they are. Then none is refused.
	blind atomic.Bool

	mu       sync.Mutex
	last     standing  // of the server that was last written to
	saved    standing  // what the file says
	newest   standing  // the newest timeline that a server that writes was seen on
	lost     *pgServer // has lost what it had committed
	refusals map[string]*refusal
}

// refusal is a server that is refused, for the log.
type refusal struct {
	since time.Time
	times int
}

// maxRefusals bounds the servers whose refusals are told apart in the log.
const maxRefusals = 64

// begin reads the file.
func (h *history) begin(o Options) error {
	h.log, h.file, h.looks = o.Log, o.Memory, o.ReadMemory
	last, err := readStanding(h.file)
	h.last, h.saved = last, last
	return err
}

// trusts reports whether a connection to this server may be used.
func (h *history) trusts(s *pgServer) bool {
	now := h.current.Load()
	return s != nil && now != nil && now.same(s) || s == nil && h.blind.Load()
}

// judge returns what speaks against a server that writes, wrapping ErrBehind.
func (h *history) judge(s *pgServer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.last.System != "" && h.last.System != s.System:
		return h.behind(s, "it belongs to another cluster")
	case s.Timeline < h.last.Timeline:
		return h.behind(s, "its timeline is older")
	case h.newest.System == s.System && s.Timeline < h.newest.Timeline:
		return fmt.Errorf("%w: %s is on timeline %d, and another server of the connection string writes on timeline %d",
			ErrBehind, s.address, s.Timeline, h.newest.Timeline)
	case s.Timeline == h.last.Timeline && s.LSN < h.last.LSN:
		return h.behind(s, "it has less than what was committed")
	case h.lost != nil && h.lost.same(s):
		return h.behind(s, "it has lost what was committed on it")
	}
	return nil
}

// passed reports whether another server has taken over from this one, or it has lost commits: what it says does not
// count.
func (h *history) passed(s *pgServer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last.System != s.System || s.Timeline < h.last.Timeline ||
		h.newest.System == s.System && s.Timeline < h.newest.Timeline || h.lost != nil && h.lost.same(s)
}

// behind words a refusal. It must be called with h.mu held.
func (h *history) behind(s *pgServer, why string) error {
	accept := "restart the node"
	if h.file != "" {
		accept = "stop the node, remove " + h.file + " and start it"
	}
	return fmt.Errorf(
		"%w: %s is system %s on timeline %d at %s, this node has written to system %s on timeline %d at %s: %s. If that "+
			"is meant, %s", ErrBehind, s.address, s.System, s.Timeline, lsnText(s.LSN), h.last.System, h.last.Timeline,
		lsnText(h.last.LSN), why, accept)
}

// marked judges the mark that a server has for the timeline that was last written to.
func (h *history) marked(s *pgServer, mark int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if mark == h.last.Mark {
		return nil
	}
	return h.behind(s,
		fmt.Sprintf("its timeline %d is not the one of this node, or it is another database", h.last.Timeline))
}

// remembered returns what was last written to.
func (h *history) remembered() standing {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// adopt takes a server as the one to write to. The file knows of it before anything is written there.
func (h *history) adopt(s *pgServer, mark int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := s.standing
	next.Mark = mark
	if next.System == h.last.System && next.Timeline == h.last.Timeline {
		next.LSN = max(next.LSN, h.last.LSN)
	}
	if before := h.last; before.System != next.System || before.Timeline != next.Timeline {
		h.log.Info("the database server has changed", "server", s.address, "system", s.System, "timeline", s.Timeline,
			"lsn", lsnText(s.LSN), "timeline_before", before.Timeline)
	}
	h.last = next
	h.lost = nil
	if h.saved.System != next.System || h.saved.Timeline != next.Timeline || h.saved.Mark != next.Mark {
		h.save()
	}
	h.blind.Store(false)
	h.current.Store(s)
	h.subside(s.address)
}

// committed notes that everything before a position is durable on a server.
func (h *history) committed(s *pgServer, lsn uint64) {
	if s == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.System == h.last.System && s.Timeline == h.last.Timeline {
		h.last.LSN = max(h.last.LSN, lsn)
	}
}

// save writes the file. It must be called with h.mu held. A folder that cannot be written is no reason to refuse work.
func (h *history) save() {
	if h.file == "" || h.looks || h.saved == h.last {
		return
	}
	if err := writeStanding(h.file, h.last); err != nil {
		h.log.Error(
			"what this node knows of its database server cannot be kept: after a restart it would not notice an old one",
			"file",
			h.file,
			"error",
			err,
		)
		return
	}
	h.saved = h.last
}

// keep saves the position that has been reached since.
func (h *history) keep() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.save()
}

// seen notes a server that was looked at, and reports whether it is ahead of the one in use.
func (h *history) seen(s *pgServer) (ahead bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.standby {
		h.subside(s.address)
		return false
	}
	if h.last.System != "" && h.last.System != s.System {
		return false
	}
	if h.newest.System != s.System || h.newest.Timeline < s.Timeline {
		h.newest = standing{System: s.System, Timeline: s.Timeline}
	}
	now := h.current.Load()
	return now != nil && now.System == s.System && now.Timeline < s.Timeline
}

// stayed reports whether the server in use is the one that it was; it may have become known meanwhile.
func (h *history) stayed(before *pgServer) bool {
	now := h.current.Load()
	return before == nil || now != nil && now.same(before)
}

// doubt lets no connection be used until its server has been asked again.
func (h *history) doubt() { h.current.Store(nil) }

// forfeit notes that a server has lost what it had committed.
func (h *history) forfeit(s *pgServer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = s
	h.current.Store(nil)
}

// refused counts a refusal. The log has a line when a server is first refused, and one when it is not any more.
func (h *history) refused(s *pgServer, err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.refusals[s.address]
	if r == nil {
		if h.refusals == nil {
			h.refusals = map[string]*refusal{}
		}
		if len(h.refusals) >= maxRefusals {
			return err
		}
		r = &refusal{since: time.Now()}
		h.refusals[s.address] = r
		h.log.Error("a database server is refused", "server", s.address, "timeline", s.Timeline, "lsn", lsnText(s.LSN),
			"error", err)
	}
	r.times++
	return err
}

// subside ends the refusal of a server, if there is one. It must be called with h.mu held.
func (h *history) subside(address string) {
	if r := h.refusals[address]; r != nil {
		delete(h.refusals, address)
		h.log.Info("a database server is not refused any more", "server", address, "refusals", r.times,
			"took", time.Since(r.since).Round(time.Millisecond).String())
	}
}
