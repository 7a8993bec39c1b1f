package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/verify"
)

// judge knows everything and says what must never be.
type judge struct {
	u       *world
	faults  []string
	names   map[id.ID]string
	ref     map[id.ID]id.ID   // delivery → verification
	all     []id.ID           // deliveries in the order in which they were written
	calls   map[id.ID][]*call // by job
	sends   map[verify.NumberKey][]time.Time
	wrongs  map[verify.NumberKey][]time.Time
	acked   [][2]id.ID // verification and delivery
	results map[id.ID]map[verify.Result]int
	touched []id.ID
	// troubled is when something last went wrong that may delay a claim.
	troubled time.Time

	doubles map[string]int // messages sent twice, by why
	approve int
}

// call is one call to a carrier.
type call struct {
	job, ref   id.ID
	delivery   string
	did        id.ID
	generation int
	node       *node
	attempt    int
	left       bool
	answered   bool
	kind       channel.ErrorKind
	recorded   bool      // what came of it is durable
	excuse     string    // why what came of it could be lost
	until      time.Time // the end of the lease
	failedAt   time.Time // when the store last failed for its worker
}

func newJudge(u *world) *judge {
	return &judge{
		u:       u,
		names:   map[id.ID]string{},
		ref:     map[id.ID]id.ID{},
		calls:   map[id.ID][]*call{},
		sends:   map[verify.NumberKey][]time.Time{},
		wrongs:  map[verify.NumberKey][]time.Time{},
		results: map[id.ID]map[verify.Result]int{},
		doubles: map[string]int{},
	}
}

// fault notes something that must never be.
func (j *judge) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	j.u.note("WRONG: %s", text)
	j.faults = append(j.faults, text)
}

// name returns a short name for a verification or delivery.
func (j *judge) name(x id.ID) string {
	if j.names[x] == "" {
		j.names[x] = fmt.Sprintf("#%d", len(j.names)+1)
	}
	return j.names[x]
}

// isOf reports whether a delivery belongs to a verification.
func (j *judge) isOf(delivery string, v id.ID) bool {
	d, err := id.Parse(id.Delivery, delivery)
	return err == nil && j.ref[d] == v
}

func (j *judge) someDelivery() id.ID {
	if len(j.all) == 0 {
		return id.ID{}
	}
	return j.all[j.u.rng.IntN(len(j.all))]
}

// called notes that a worker calls a carrier.
func (j *judge) called(t *task, n *node, c *carrier, m channel.Message) *call {
	d, err := id.Parse(id.Delivery, m.Delivery)
	if err != nil || t.job == nil {
		j.fault("a call for %q, outside of any job", m.Delivery)
		return &call{}
	}
	k := &call{job: t.job.ID, ref: t.job.Ref, did: d, node: n, attempt: t.job.Attempt}
	k.delivery = j.name(d)
	if row := j.u.data.Job(k.job); row != nil {
		k.until = row.Due.Add(-n.skew)
	}
	if v := j.u.data.Verification(k.ref); v != nil {
		k.generation = v.Generation
	}
	t.call = k
	j.calls[k.job] = append(j.calls[k.job], k)
	j.u.note("calls %s for %s of %s, attempt %d", c.name, k.delivery, j.name(k.ref), t.job.Attempt)
	return k
}

// left notes that the message reached the carrier. A second one must have been unavoidable.
func (j *judge) left(k *call) {
	k.left = true
	for _, before := range j.calls[k.job] {
		if before == k || !before.left {
			continue
		}
		why := cmp.Or(before.excuse, k.excuse)
		if why == "" && before.failedAt.Add(6*time.Second).After(before.until) {
			why = "the store was away until the lease had ended"
		}
		if why == "" {
			j.fault("%s: its message left twice, and nothing had hidden what came of the first", k.delivery)
		}
		j.doubles[why]++
		return
	}
}

// disturbed excuses the calls of a node whose end nobody may learn.
func (j *judge) disturbed(n *node, why string) {
	for _, t := range j.u.tasks {
		if t.node == n && t.call != nil && !t.call.recorded {
			t.call.excuse = why
		}
	}
}

// failed is told that an operation of the store failed for a task.
func (j *judge) failed(t *task) {
	if t != nil && t.call != nil && !t.call.recorded {
		t.call.failedAt = time.Now()
	}
}

// acknowledged notes that the API has promised a message.
func (j *judge) acknowledged(v, d id.ID) { j.acked = append(j.acked, [2]id.ID{v, d}) }

// answered notes the answer to a check.
func (j *judge) answered(v id.ID, r verify.Result) {
	if j.results[v] == nil {
		j.results[v] = map[verify.Result]int{}
	}
	j.results[v][r]++
	if r == verify.ResultApproved {
		j.approve++
	}
}

// trouble notes that something keeps jobs from being claimed just now.
func (j *judge) trouble() { j.troubled = time.Now() }

// rank orders statuses in the direction of time.
func rank(s channel.Status) int {
	return slices.Index([]channel.Status{channel.Queued, channel.Sending, channel.Unknown, channel.Taken, channel.Sent,
		channel.Delivered}, s)
}

// committed looks at each change as it becomes durable.
func (j *judge) committed(c memstore.Change) {
	if c.Job {
		j.jobChanged(c)
		return
	}
	old, v := c.Before, c.After
	j.touched = append(j.touched, v.ID)
	if old == nil {
		old = &verify.Verification{Status: verify.Pending}
	}
	name := j.name(v.ID)
	switch {
	case old.Status != verify.Pending && v.Status != old.Status:
		j.fault("%s was %s and became %s", name, old.Status, v.Status)
	case old.Status != verify.Pending && v.Attempts != old.Attempts:
		j.fault("%s: a code was compared although it was %s", name, old.Status)
	case v.Attempts < old.Attempts || v.Attempts > old.Attempts+1:
		j.fault("%s: attempts went from %d to %d", name, old.Attempts, v.Attempts)
	case v.Attempts > v.Spec.MaxAttempts:
		j.fault("%s: %d codes were compared, of %d", name, v.Attempts, v.Spec.MaxAttempts)
	case v.Generation < old.Generation:
		j.fault("%s: generation %d after %d", name, v.Generation, old.Generation)
	case v.Sends > v.Spec.MaxSends:
		j.fault("%s: %d sends, of %d", name, v.Sends, v.Spec.MaxSends)
	case v.Status == verify.Approved && old.Status == verify.Pending &&
		!time.Now().Before(v.Expires.Add(j.u.skew+time.Millisecond)):
		j.fault("%s was approved %s after its deadline", name, time.Since(v.Expires))
	}
	if v.Attempts > old.Attempts && v.Status != verify.Approved {
		j.wrongCode(v)
	}
	j.deliveries(old, v)
}

// deliveries looks at what became of the deliveries.
func (j *judge) deliveries(old, v *verify.Verification) {
	if len(v.Deliveries) < len(old.Deliveries) {
		j.fault("%s has lost a delivery", j.name(v.ID))
		return
	}
	for i, d := range v.Deliveries {
		if i >= len(old.Deliveries) {
			j.ref[d.ID] = v.ID
			j.all = append(j.all, d.ID)
			j.failover(old, v)
			continue
		}
		was := old.Deliveries[i].Status
		back := was != d.Status &&
			(was.Final() || (rank(d.Status) < rank(was) && d.Status != channel.Failed && d.Status != channel.Undelivered))
		if back && (was != channel.Sending || d.Status != channel.Queued) {
			j.fault("%s was %s and became %s", j.name(d.ID), was, d.Status)
		}
	}
	if v.Sends > old.Sends {
		j.sent(old, v)
	}
}

// failover holds that a message goes on to another route only while nobody knows that it has arrived.
func (j *judge) failover(old, v *verify.Verification) {
	t := j.u.current
	if v.Sends != old.Sends || t == nil || t.call == nil {
		return
	}
	for _, d := range old.Deliveries {
		if d.ID == t.call.did && d.Status != channel.Sending {
			j.fault("%s goes on to another route although it is %s", j.name(d.ID), d.Status)
		}
	}
}

// sent holds the limits of sends: each start and resend counts, by the clock of the node that granted it.
func (j *judge) sent(old, v *verify.Verification) {
	at := v.Deliveries[len(v.Deliveries)-1].Created
	log := append(j.sends[v.Spec.Number], at)
	slices.SortFunc(log, time.Time.Compare)
	j.sends[v.Spec.Number] = log
	skew := 2*j.u.skew + time.Millisecond
	for _, w := range j.u.limits.Sends.Windows {
		for i := w.Max; i < len(log); i++ {
			if log[i].Sub(log[i-w.Max]) < w.Span-skew {
				j.fault("%s: %d sends within %s", j.name(v.ID), w.Max+1, log[i].Sub(log[i-w.Max]))
			}
		}
	}
	if head := j.u.data.Verification(v.Spec.Previous); head != nil && head.Status == verify.Approved ||
		old.Sends == 0 && v.Spec.Previous.IsZero() {
		return // the owner was there: gaps start over
	}
	if old.Sends > 0 && v.Step > old.Step {
		return // the order of channels goes on by itself
	}
	if i := slices.IndexFunc(log, at.Equal); i > 0 && at.Sub(log[i-1]) < j.u.limits.Sends.Gaps[0]-skew {
		j.fault("%s: a send %s after the one before", j.name(v.ID), at.Sub(log[i-1]))
	}
}

// wrongCode holds the limit of wrong codes: the bucket is 15 and fills in a day.
func (j *judge) wrongCode(v *verify.Verification) {
	log := append(j.wrongs[v.Spec.Number], time.Now())
	j.wrongs[v.Spec.Number] = log
	most := func(n int, span time.Duration) {
		if len(log) > n && log[len(log)-1].Sub(log[len(log)-1-n]) < span-2*j.u.skew {
			j.fault("%s: more than %d wrong codes of a number within %s", j.name(v.ID), n, span)
		}
	}
	most(16, time.Hour)
	most(30, 24*time.Hour)
}

// jobChanged holds the fence, and notes that what came of a call is durable.
func (j *judge) jobChanged(c memstore.Change) {
	t := j.u.current
	row := c.JobBefore
	if row == nil {
		row = c.JobAfter
	}
	j.touched = append(j.touched, row.Ref)
	if j.u.loud != nil && c.JobAfter != nil {
		j.u.note("job %s: attempt %d, due %s", j.name(row.ID), c.JobAfter.Attempt, c.JobAfter.Due.Sub(j.u.begin))
	} else if j.u.loud != nil {
		j.u.note("job %s is over", j.name(row.ID))
	}
	if t == nil || t.job == nil || row.ID != t.job.ID {
		return
	}
	if c.JobBefore == nil {
		j.fault("job of %s: a job that was finished is written again", j.name(row.Ref))
	}
	if c.JobBefore != nil && c.JobBefore.Attempt != t.job.Attempt {
		j.fault("job of %s: attempt %d records a result while attempt %d holds the lease", j.name(row.Ref), t.job.Attempt,
			c.JobBefore.Attempt)
	}
	if t.call != nil {
		t.call.recorded = true
	}
}

// after looks at the whole after each step.
func (j *judge) after() {
	for _, ref := range j.touched {
		if v := j.u.data.Verification(ref); v != nil {
			j.hasJobs(v)
		}
	}
	j.touched = j.touched[:0]
	for _, n := range j.u.nodes {
		n.looksForRoom()
	}
	if j.u.steps%16 != 0 {
		return
	}
	// A job is claimed within a few polls once it is due, as long as there is somebody with room for it and nothing fails.
	patience := 4*pollEach + 4*j.u.slow + 2*j.u.skew
	for _, q := range j.u.data.Jobs() {
		well, there := j.well(q.Kind)
		if !there {
			continue
		}
		since := q.Due
		if well.After(since) {
			since = well
		}
		if over := time.Since(since); over > patience || time.Since(q.Due) > 5*time.Minute {
			j.fault("job of %s is due since %s, and nobody has claimed it for %s", j.name(q.Ref), q.Due.Sub(j.u.begin), over)
			j.u.data.SetJob(queue.Job{ID: q.ID, Ref: q.Ref, Due: time.Now().Add(time.Hour)})
		}
	}
}

// well returns since when some node has been able to claim jobs of a kind; there is false when none can.
func (j *judge) well(kind string) (since time.Time, there bool) {
	for _, n := range j.u.nodes {
		able := n.frozen
		if full := n.full[kind]; full.After(able) {
			able = full
		}
		if n.up && (!there || able.Before(since)) {
			since, there = able, true
		}
	}
	for _, t := range []time.Time{j.troubled, j.u.away} {
		if t.After(since) {
			since = t
		}
	}
	return since, there
}

// hasJobs holds that somebody will go on with each delivery that is not at its end.
func (j *judge) hasJobs(v *verify.Verification) {
	for _, d := range v.Deliveries {
		if d.Status != channel.Sending && d.Status != channel.Queued {
			continue
		}
		found := false
		for _, q := range j.u.data.Jobs() {
			found = found || q.ID == d.ID || (len(q.Payload) == len(d.ID) && id.ID(q.Payload) == d.ID)
		}
		if !found {
			j.fault("%s of %s is %s and has no job", j.name(d.ID), j.name(v.ID), d.Status)
		}
	}
}

// final looks at what is left when everything has come to rest.
func (j *judge) final() {
	for _, q := range j.u.data.Jobs() {
		j.fault("job of %s is still there, attempt %d", j.name(q.Ref), q.Attempt)
	}
	left := map[id.ID]bool{}
	for _, d := range j.all {
		for _, k := range j.calls[d] {
			left[k.did] = left[k.did] || k.left
		}
	}
	for _, v := range j.u.data.Verifications() {
		for _, d := range v.Deliveries {
			switch {
			case rank(d.Status) == 0 || rank(d.Status) == 1:
				j.fault("%s is %s at the end", j.name(d.ID), d.Status)
			case d.Status == channel.Failed && left[d.ID]:
				j.fault("%s is failed (%s), but its message left: %+v", j.name(d.ID), d.Code, d)
			case rank(d.Status) >= rank(channel.Taken) && !left[d.ID]:
				j.fault("%s is %s, but nobody took its message", j.name(d.ID), d.Status)
			}
		}
		j.answers(v)
	}
	for _, a := range j.acked {
		v := j.u.data.Verification(a[0])
		if v == nil {
			j.fault("%s was acknowledged and is gone", j.name(a[0]))
			continue
		}
		if !a[1].IsZero() && len(j.calls[a[1]]) == 0 &&
			!slices.ContainsFunc(v.Deliveries,
				func(d channel.Delivery) bool { return d.ID == a[1] && v.At(time.Now()) != verify.Pending }) {
			j.fault("%s of %s (%s) was acknowledged, and no carrier was ever called: %+v", j.name(a[1]), j.name(v.ID),
				v.At(time.Now()), v.Deliveries)
		}
	}
}

// answers compares the row with what callers were told.
func (j *judge) answers(v *verify.Verification) {
	r := j.results[v.ID]
	if r[verify.ResultApproved] > 0 && v.Status != verify.Approved {
		j.fault("%s was answered approved and is %s", j.name(v.ID), v.Status)
	}
	if compared := r[verify.ResultApproved] + r[verify.ResultIncorrect]; compared > v.Attempts ||
		v.Attempts > v.Spec.MaxAttempts {
		j.fault("%s: %d comparisons were answered, %d are counted, %d are allowed", j.name(v.ID), compared, v.Attempts,
			v.Spec.MaxAttempts)
	}
	if r[verify.ResultApproved] > 1 {
		j.fault("%s was approved %d times", j.name(v.ID), r[verify.ResultApproved])
	}
}
