package guard

import (
	"strconv"
	"time"
)

// Budget is how many wrong codes are compared in any hour and any day; 0: any number.
type Budget struct{ Hour, Day int64 }

// Guessing is the figures of the rules on wrong codes. The limits of single numbers are not here: these find who
// guesses a little at many.
type Guessing struct {
	Client, Application, Deployment Budget
	// A spray is at least SprayCount checks in an hour of which surely (SprayZ) more than Spray are wrong.
	Spray      float64
	SprayCount int64
	SprayZ     float64
	// Longer is how many characters new codes are longer during a spray.
	Longer int
}

// Guesses is the wrong codes of a client, an application or a deployment.
type Guesses struct{ Wrong, Right, Daily Ring }

// Judge returns why no code may be compared now; false when one may.
func (b Budget) Judge(name string, g *Guesses, now time.Time) (Rule, bool) {
	at := now.UnixMilli()
	for _, s := range []struct {
		name string
		span time.Duration
		most int64
		ring *Ring
	}{{"hour", Hour, b.Hour, &g.Wrong}, {"day", Day, b.Day, &g.Daily}} {
		if wrong := s.ring.Sum(s.span, at); s.most > 0 && wrong >= s.most {
			return Rule{
				Name: name + "_wrong_" + s.name, Version: 1, Verdict: Block,
				Input: strconv.FormatInt(wrong, 10), Threshold: strconv.FormatInt(s.most, 10),
				Retry: time.UnixMilli(s.ring.Free(s.span, at, s.most-1)).UTC(),
			}, true
		}
	}
	return Rule{}, false
}

// Count counts a code that was compared.
func (g *Guesses) Count(right bool, now time.Time) {
	at := now.UnixMilli()
	if right {
		g.Right.Add(Hour, at, 1)
		return
	}
	g.Wrong.Add(Hour, at, 1)
	g.Daily.Add(Day, at, 1)
}

// Sprayed reports whether somebody guesses at many numbers: people type more codes right than wrong.
func (x Guessing) Sprayed(g *Guesses, now time.Time) bool {
	at := now.UnixMilli()
	wrong, right := g.Wrong.Sum(Hour, at), g.Right.Sum(Hour, at)
	return wrong+right >= x.SprayCount && upper(tally{wrong + right, right}, x.SprayZ) < 1-x.Spray
}

// Append appends the state to p.
func (g *Guesses) Append(p []byte) []byte {
	w := writer(append(p, version))
	for _, r := range []*Ring{&g.Wrong, &g.Right, &g.Daily} {
		w.ring(r)
	}
	return w
}

// ParseGuesses reads what Append wrote. No bytes are no guesses. The error is ErrState.
func ParseGuesses(p []byte) (Guesses, error) {
	var g Guesses
	if len(p) == 0 {
		return g, nil
	}
	if p[0] != version || len(p) > maxBytes {
		return Guesses{}, ErrState
	}
	r := reader{p: p[1:]}
	for _, ring := range []*Ring{&g.Wrong, &g.Right, &g.Daily} {
		r.ring(ring)
	}
	if r.bad || len(r.p) > 0 {
		return Guesses{}, ErrState
	}
	return g, nil
}
