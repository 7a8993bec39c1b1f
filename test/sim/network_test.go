package sim

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/store/postgres"
)

// snip is the network between a node and PostgreSQL. It breaks at the n-th message: before it is passed on, or just
// after, so that the other side has it and its answer is lost. A connection that breaks is reset, and new ones work.
type snip struct {
	listen net.Listener
	to     string

	mu       sync.Mutex
	messages int
	at       int // the message that breaks its connection; 0: none
	after    bool
	broke    int
}

func newSnip(t *testing.T, to string) *snip {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &snip{listen: l, to: to}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go s.carry(in.(*net.TCPConn))
		}
	}()
	return s
}

// fail breaks the n-th message from now on.
func (s *snip) fail(n int, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.after = 0, after
	if n > 0 {
		s.at = s.messages + n
	}
}

func (s *snip) breaks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broke
}

// next reports whether this message breaks its connection, and on which side.
func (s *snip) next() (now, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages++
	if s.messages != s.at {
		return false, false
	}
	s.broke++
	return true, s.after
}

func (s *snip) carry(in *net.TCPConn) {
	defer in.Close()
	dial, err := net.Dial("tcp", s.to)
	if err != nil {
		return
	}
	out := dial.(*net.TCPConn)
	defer out.Close()
	var both sync.WaitGroup
	both.Go(func() { s.pass(in, out) })
	both.Go(func() { s.pass(out, in) })
	both.Wait()
}

func (s *snip) pass(from, to *net.TCPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			now, after := s.next()
			if !now || after {
				_, _ = to.Write(buf[:n])
			}
			if now && after {
				// What was passed on arrives: the end of the stream comes behind it, and only the way back is cut.
				_ = to.CloseWrite()
				_ = from.SetLinger(0)
				from.Close()
				_, _ = io.Copy(io.Discard, to)
				return
			}
			if now {
				_ = from.SetLinger(0)
				_ = to.SetLinger(0)
			}
			if now {
				from.Close()
				to.Close()
				return
			}
		}
		if err != nil {
			from.Close()
			to.Close()
			return
		}
	}
}

// TestNetwork breaks the connection to a real PostgreSQL at each message in turn, on either side of it: among them the
// one that carries COMMIT and the one that carries its answer. Requests are answered, or refused as unavailable; what
// was acknowledged is there, nothing is approved twice, and nothing is there in part.
func TestNetwork(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("passed on: %t", after), func(t *testing.T) {
			t.Parallel()
			runs, refused, unknown := 0, 0, 0
			for from := 1; from <= 60; from++ {
				l := &ledger{approved: map[id.ID]int{}}
				rows, broke := oneNetwork(t, pg, l, from, after)
				if t.Failed() {
					return
				}
				if broke {
					runs++
				}
				refused += l.refused
				unknown += rows - len(l.acked)
			}
			t.Logf("%d runs, %d requests refused, of which %d starts had happened all the same", runs, refused, unknown)
			if runs < 20 {
				t.Errorf("%d runs: too few to show anything", runs)
			}
		})
	}
}

// oneNetwork breaks one message, and answers how many verifications are there in the end and whether the message came.
func oneNetwork(t *testing.T, pg *pgtest.Server, l *ledger, from int, after bool) (rows int, broke bool) {
	t.Helper()
	s := newSnip(t, fmt.Sprintf("127.0.0.1:%d", pg.Port))
	dsn := pg.Fresh()
	c := openDeskOn(t, onPostgres(t, postgres.Options{
		DSN:         fmt.Sprintf("%s&host=127.0.0.1&port=%d", dsn, s.listen.Addr().(*net.TCPAddr).Port),
		Lanes:       2,
		Connections: 6,
	}))
	l.work(t, c, 1)
	s.fail(from, after)
	l.work(t, c, 3)
	broke = s.breaks() > 0
	s.fail(0, false)
	before := len(l.acked)
	l.work(t, c, 1)
	if len(l.acked) != before+1 {
		t.Errorf("message %d: the store does not come back", from)
	}
	l.hold(t, c, fmt.Sprintf("message %d", from))
	again := openDeskOn(t, onPostgres(t, postgres.Options{DSN: dsn}))
	l.hold(t, again, fmt.Sprintf("message %d, by another node", from))
	_ = again.db.Scan(t.Context(), again.caller.App.ID, id.ID{}, countRows(&rows))
	for _, d := range []*deskCore{c, again} {
		if err := d.db.Close(); err != nil {
			t.Error(err)
		}
	}
	return rows, broke
}

func onPostgres(t *testing.T, o postgres.Options) *postgres.Engine {
	t.Helper()
	o.Migrate = true
	e, err := postgres.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
