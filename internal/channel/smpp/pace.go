package smpp

import (
	"sync"
	"time"
)

// The gap between two messages of a session that was told to slow down.
const (
	firstGap = 20 * time.Millisecond
	maxGap   = 2 * time.Second
	// leastGap is where slowing down ends.
	leastGap = time.Millisecond
)

// pace spaces a session's messages after the SMSC has said that they come too fast. The gap doubles with each
// complaint and shrinks by a fortieth with each message that is taken, so that the rate settles just below what the
// SMSC allows. Zero is full speed.
type pace struct {
	mu     sync.Mutex
	gap    time.Duration
	next   time.Time
	slowed time.Time
}

// reserve returns how long to wait before the next message may be written. ok is false, and nothing is reserved,
// when that is longer than most.
func (p *pace) reserve(now time.Time, most time.Duration) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gap == 0 {
		return 0, true
	}
	wait = max(0, p.next.Sub(now))
	if wait > most {
		return wait, false
	}
	p.next = now.Add(wait + p.gap)
	return wait, true
}

// complaint takes in that a message came too fast, and answers how long to leave the SMSC alone. SMSCs count by the
// second, so that all complaints within a second are about the same haste and count once.
func (p *pace) complaint(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gap == 0 || now.Sub(p.slowed) >= time.Second {
		p.gap = min(max(2*p.gap, firstGap), maxGap)
		p.slowed = now
	}
	p.next = later(p.next, now.Add(p.gap))
	return p.gap
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// taken takes in that a message was taken. In the second of a complaint that says nothing about the haste.
func (p *pace) taken(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gap == 0 || now.Sub(p.slowed) < time.Second {
		return
	}
	if p.gap -= p.gap / 40; p.gap < leastGap {
		p.gap = 0
	}
}
