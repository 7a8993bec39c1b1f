package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/verify"
)

// office is a carrier that knows which node handed a message over, and when.
type office struct {
	*httptest.Server
	mu   sync.Mutex
	mail map[string][]letter // by number
}

type letter struct {
	code string
	node string
	at   time.Time
}

func newOffice(t testing.TB) *office {
	t.Helper()
	o := &office{mail: map[string][]letter{}}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			Data sunk `json:"data"`
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		o.mu.Lock()
		o.mail[m.Data.To] = append(o.mail[m.Data.To], letter{m.Data.Code, strings.Trim(r.URL.Path, "/"), time.Now()})
		o.mu.Unlock()
		// The answer takes a moment, so that nodes die between the message and its answer.
		time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Millisecond))))
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *office) letters(to string) []letter {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.mail[to])
}

// blow is something that was done to the deployment.
type blow struct {
	node       string // who was killed; empty: the database
	from, till time.Time
}

// siege is a deployment under load and blows, and what its clients know.
type siege struct {
	*fleet
	office   *office
	blows    []blow
	mu       sync.Mutex
	started  map[string]string // verification → number
	approved map[string]int
	next     atomic.Int64
}

// TestKilledOnPostgres: three nodes under load are killed at random moments, PostgreSQL is killed too, and once it
// fails over to a replica that takes part in every commit, while the old primary comes back beside it. What was
// acknowledged is there, and nothing hangs.
func TestKilledOnPostgres(t *testing.T) {
	t.Parallel()
	kills, falls := 12, 2
	if soak() {
		kills, falls = 200, 20
	}
	o := newOffice(t)
	pg := pgtest.Start(t, pgtest.Durable()...)
	s := &siege{
		fleet: servedBy(t, pg, 3, func(i int) string { return fmt.Sprintf("%s/n%d", o.URL, i) }), office: o,
		started: map[string]string{}, approved: map[string]int{},
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() { s.load(stop) })
	}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for i := range kills {
		time.Sleep(time.Duration(100+r.IntN(600)) * time.Millisecond)
		n := r.IntN(len(s.nodes))
		s.blows = append(s.blows, blow{fmt.Sprintf("n%d", n), time.Now(), time.Now()})
		s.nodes[n].signal(syscall.SIGKILL)
		if (i+1)%(kills/falls) == 0 {
			from := time.Now()
			pg.Kill()
			time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
			pg.Run()
			s.blows = append(s.blows, blow{"", from, time.Now()})
		}
	}
	dsn := s.failOver(pg)
	time.Sleep(2 * time.Second) // of load on the new server
	close(stop)
	clients.Wait()
	s.settle(t, dsn)
	s.table(t, kills, falls)
}

// failOver moves everybody to a replica, without losing a commit, and answers its connection string.
func (s *siege) failOver(pg *pgtest.Server) string {
	replica := pg.Replica()
	pg.Synchronous(true)
	time.Sleep(time.Second) // of load with it
	from := time.Now()
	pg.Kill()
	replica.Promote()
	for _, m := range s.nodes {
		m.lead(replica)
	}
	for _, m := range s.nodes {
		waitFor(s.t, 30*time.Second, "a node has found the new primary", func() bool { return s.ready(m) })
	}
	s.stray(pg, replica)
	s.blows = append(s.blows, blow{"", from, time.Now()})
	return replaceHost(s.store, fmt.Sprintf("127.0.0.1:%d", replica.Port))
}

// stray lets the old primary come back, where it takes writes like the new one, and leads nodes to it and away again.
func (s *siege) stray(old, replica *pgtest.Server) {
	old.Run()
	old.Synchronous(false)
	before := old.Count("SELECT count(*) FROM " + schemaOf(s.store) + ".verifications")
	for range 3 {
		for _, m := range s.nodes {
			m.lead(old)
			time.Sleep(300 * time.Millisecond)
			m.lead(replica)
		}
	}
	if n := old.Count("SELECT count(*) FROM " + schemaOf(s.store) + ".verifications"); n != before {
		s.t.Errorf("the old primary has taken %d starts", n-before)
	}
}

// schemaOf returns the schema of a connection string of pgtest.Server.Fresh.
func schemaOf(dsn string) string {
	_, schema, _ := strings.Cut(dsn, "search_path=")
	return schema
}

// load starts and checks verifications through any node until stop.
func (s *siege) load(stop <-chan struct{}) {
	r := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(20+r.IntN(80)) * time.Millisecond):
		}
		n := int(s.next.Add(1))
		if n >= 9_900 { // there are no more numbers
			return
		}
		to := drama(n)
		a, err := s.any(r).try(http.MethodPost, "/v1/verifications", map[string]any{"to": to})
		if err != nil || a.status != http.StatusCreated {
			continue
		}
		v := field(a, "id")
		s.mu.Lock()
		s.started[v] = to
		s.mu.Unlock()
		for range 20 {
			if got := s.office.letters(to); len(got) > 0 {
				s.check(r, v, got[0].code)
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// check submits a right code to two nodes at once and counts the approvals.
func (s *siege) check(r *rand.Rand, v, code string) {
	var both sync.WaitGroup
	for range 2 {
		c := s.any(r)
		both.Go(func() {
			a, err := c.try(http.MethodPost, "/v1/verifications/"+v+"/check", map[string]any{"code": code})
			if err == nil && a.status == http.StatusOK && field(a, "result") == "approved" {
				s.mu.Lock()
				s.approved[v]++
				s.mu.Unlock()
			}
		})
	}
	both.Wait()
}

// settle waits until all is at rest and compares the store with what the clients know.
func (s *siege) settle(t *testing.T, dsn string) {
	t.Helper()
	e, err := postgres.Open(t.Context(), postgres.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	db := store.New(e, nil)
	defer db.Close()
	// A lease is 30 s; two in a row, when the rescuer was killed as well, and a little for the nodes to come back.
	waitFor(t, 100*time.Second, "every job is done", func() bool {
		depth, err := db.Depth(context.Background(), time.Now())
		open := depth.Open
		return err == nil && open == 0
	})
	rows := map[string]*verify.Verification{}
	hanging := 0
	for app := range applications(t, db) {
		err := db.Scan(t.Context(), app, id.ID{}, func(v *verify.Verification) bool {
			rows[v.ID.Text(id.Verification)] = v
			for _, d := range v.Deliveries {
				if d.Status == channel.Sending || d.Status == channel.Queued {
					hanging++
				}
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if hanging > 0 {
		t.Errorf("%d deliveries hang", hanging)
	}
	lost, twice, unsent := 0, 0, 0
	for v, to := range s.started {
		row := rows[v]
		switch {
		case row == nil:
			lost++
		case s.approved[v] > 0 && row.Status != verify.Approved:
			lost++
		case len(s.office.letters(to)) == 0 && row.Deliveries[len(row.Deliveries)-1].Status != channel.Failed:
			unsent++
		}
		if s.approved[v] > 1 {
			twice++
		}
	}
	t.Logf("starts acknowledged %d, approvals acknowledged %d, rows %d, lost %d, approved twice %d, without a message %d",
		len(s.started), len(s.approved), len(rows), lost, twice, unsent)
	if lost+twice+unsent > 0 {
		t.Errorf("lost %d, approved twice %d, without a message %d", lost, twice, unsent)
	}
}

func applications(t *testing.T, db *store.DB) map[id.ID]bool {
	t.Helper()
	all, err := db.Applications(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[id.ID]bool{}
	for _, a := range all {
		out[a.ID] = true
	}
	return out
}

// table prints the blows and the messages that came twice, each with what made it so.
func (s *siege) table(t *testing.T, kills, falls int) {
	t.Helper()
	why := map[string]int{}
	total := 0
	for to := range s.office.mail {
		got := s.office.letters(to)
		for i := range got[1:] {
			total++
			why[s.excuse(got[i], got[i+1])]++
		}
	}
	t.Logf("nodes killed %d, PostgreSQL killed %d, failed over 1, messages %d, of them twice %d: %v", kills, falls,
		len(s.office.mail)+total, total, why)
	if n := why[""]; n > 0 {
		t.Errorf("%d messages came twice without need", n)
	}
	if len(s.started) < 10*kills || len(s.approved) < 2*kills {
		t.Errorf("%d starts and %d approvals: the load is too small to show anything", len(s.started), len(s.approved))
	}
}

// moment is how long a node needs at most to write an answer down when the database is there: the carrier's time, the
// commit, and a busy machine.
const moment = time.Second

// posted is how long after a node's death what it has written to its connection may still arrive.
const posted = 300 * time.Millisecond

// excuse returns what kept the end of a first message from being written down before the second one left; empty for
// nothing.
func (s *siege) excuse(first, second letter) string {
	until := first.at.Add(moment)
	away := false
	for _, b := range s.blows { // the database was away: the node tries for as long as it holds the lease
		if b.node == "" && b.from.Before(until) && b.till.After(first.at.Add(-moment)) {
			until, away = b.till.Add(3*time.Second), true
		}
	}
	for _, b := range s.blows {
		if b.node == first.node && b.from.After(first.at.Add(-posted)) && b.from.Before(until) && b.from.Before(second.at) {
			if away {
				return "its node was killed while the database was away"
			}
			return "its node was killed before it had written the answer down"
		}
	}
	return ""
}
