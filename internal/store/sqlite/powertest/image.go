package powertest

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Cut is where in the record the power goes.
type Cut string

// The cuts.
const (
	AtAck        Cut = "at an acknowledgement"
	InCheckpoint Cut = "in a checkpoint"
	Anywhere     Cut = "anywhere"
)

// Cuts is all of them.
func Cuts() []Cut { return []Cut{AtAck, InCheckpoint, Anywhere} }

// Treatment is what becomes of what was done to a file and not synced.
type Treatment string

// The treatments.
const (
	Dropped Treatment = "dropped"
	Kept    Treatment = "kept"
	Torn4K  Treatment = "torn by 4 KiB" // each block on its own is as it was after any number of the writes to it
	Torn512 Treatment = "torn by 512 B"
)

// Treatments is all of them.
func Treatments() []Treatment { return []Treatment{Dropped, Kept, Torn4K, Torn512} }

// places returns the moments of a kind: how many events come before each. Those at which something of the tables or the
// log is not synced are asked for alone when unsynced is set, as far as there are any: nothing can be lost at the
// others.
func (d *Disk) places(c Cut, unsynced bool) []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all, dirty []int
	checkpoint, pending := false, map[int]bool{}
	for i, e := range d.record {
		switch e.kind {
		case checkpointBegins:
			checkpoint = true
		case checkpointEnds:
			checkpoint = false
		case write, truncate:
			if e.main || e.log {
				pending[e.file] = true
			}
		case synced, remove:
			delete(pending, e.file)
		case ack, syncFailed, create, folderSynced:
		}
		if c == Anywhere || c == AtAck && e.kind == ack || c == InCheckpoint && checkpoint && e.main && e.kind == write {
			if all = append(all, i+1); len(pending) > 0 {
				dirty = append(dirty, i+1)
			}
		}
	}
	if unsynced && len(dirty) > 0 {
		return dirty
	}
	return all
}

// Cut returns the files after a power cut, and what had been acknowledged before it. Chance chooses the moment and what
// is torn. It reports false when the record has no such moment.
func (d *Disk) Cut(c Cut, t Treatment, r *rand.Rand) (m Image, acked []Ack, ok bool) {
	all := d.places(c, r.IntN(3) > 0)
	if len(all) == 0 {
		return nil, nil, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := &platter{treatment: t, r: r, files: map[int]*content{}, names: map[string]int{}}
	for _, e := range d.record[:all[r.IntN(len(all))]] {
		if e.kind == ack {
			acked = append(acked, e.said)
		}
		p.take(e)
	}
	return p.image(), acked, true
}

// platter is what is durable, and what is not yet.
type platter struct {
	treatment Treatment
	r         *rand.Rand
	files     map[int]*content
	names     map[string]int // durable
	naming    []event        // not yet
}

// content is what a file has: what is durable, and what was done to it since.
type content struct {
	durable []byte
	pending []event
}

func (p *platter) file(n int) *content {
	c := p.files[n]
	if c == nil {
		c = &content{}
		p.files[n] = c
	}
	return c
}

// take lets an event happen.
func (p *platter) take(e event) {
	switch e.kind {
	case write, truncate:
		c := p.file(e.file)
		c.pending = append(c.pending, e)
	case synced:
		c := p.file(e.file)
		for _, o := range c.pending {
			c.apply(o, 0, nil)
		}
		c.pending = nil
	case syncFailed:
		p.settle(p.file(e.file))
	case create, remove:
		p.naming = append(p.naming, e)
	case folderSynced:
		for _, o := range p.naming {
			p.name(o)
		}
		p.naming = nil
	case ack, checkpointBegins, checkpointEnds:
	}
}

func (p *platter) name(e event) {
	if e.kind == create {
		p.names[e.name] = e.file
	} else {
		delete(p.names, e.name)
	}
}

// image returns the files as the power leaves them.
func (p *platter) image() Image {
	for _, o := range p.naming {
		if p.treatment == Kept || p.treatment != Dropped && p.r.IntN(2) == 0 {
			p.name(o)
		}
	}
	out := Image{}
	for _, name := range slices.Sorted(maps.Keys(p.names)) { // so that a seed gives the same image
		c := p.file(p.names[name])
		p.settle(c)
		out[name] = c.durable
	}
	return out
}

// settle lets happen to a file what becomes of the things that were not synced.
func (p *platter) settle(c *content) {
	switch p.treatment {
	case Kept:
		for _, o := range c.pending {
			c.apply(o, 0, nil)
		}
	case Torn4K:
		p.tear(c, 4096)
	case Torn512:
		p.tear(c, 512)
	case Dropped:
	}
	c.pending = nil
}

// tear lets each block have so many of the writes to it as chance will.
func (p *platter) tear(c *content, size int64) {
	left := map[int64]int{} // of each block
	for _, o := range c.pending {
		for b := o.off / size; o.kind == write && b*size < o.off+int64(len(o.data)); b++ {
			left[b]++
		}
	}
	blocks := make([]int64, 0, len(left))
	for b := range left {
		blocks = append(blocks, b)
	}
	slices.Sort(blocks) // likewise
	for _, b := range blocks {
		left[b] = p.r.IntN(left[b] + 1)
	}
	for _, o := range c.pending {
		if o.kind == truncate {
			if p.r.IntN(2) == 0 {
				c.apply(o, 0, nil)
			}
			continue
		}
		c.apply(o, size, func(b int64) bool { left[b]--; return left[b] >= 0 })
	}
}

// apply does a write or a truncate; of a write, the blocks of this size that are kept.
func (c *content) apply(e event, size int64, kept func(block int64) bool) {
	if e.kind == truncate {
		c.resize(e.off)
		return
	}
	end := e.off + int64(len(e.data))
	if kept == nil {
		c.put(e.off, e.data)
		return
	}
	for b := e.off / size; b*size < end; b++ {
		if from, to := max(b*size, e.off), min((b+1)*size, end); kept(b) {
			c.put(from, e.data[from-e.off:to-e.off])
		}
	}
}

func (c *content) put(off int64, p []byte) {
	if end := off + int64(len(p)); end > int64(len(c.durable)) {
		c.resize(end)
	}
	copy(c.durable[off:], p)
}

func (c *content) resize(size int64) {
	if size <= int64(len(c.durable)) {
		c.durable = c.durable[:size]
		return
	}
	c.durable = append(c.durable, make([]byte, size-int64(len(c.durable)))...)
}
