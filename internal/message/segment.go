package message

import (
	"strings"
)

// slot is a placeholder.
type slot int

const (
	slotNone slot = iota
	slotCode
	slotBrand
	slotAmount
	slotCurrency
	slotPayee
	slotMinutes
	slotMoney  // amount and currency, in the order of the language
	slotHyphen // between brand and noun where a compound is written: "-", and " -" after a brand of several words
	slots
)

// slotNames are the placeholders as they are written, by slot.
var slotNames = [slots]string{"", "{code}", "{brand}", "{amount}", "{currency}", "{payee}", "{minutes}", "{money}",
	"{-}"}

// segment is literal text and then a placeholder, or none at the end.
type segment struct {
	literal string
	slot    slot
}

// candidate is a text in segments, with what its literals cost, so that its size with given values is a sum.
type candidate struct {
	segments []segment
	literal  cost
	uses     [slots]uint8 // how often each placeholder stands in it
}

// compile cuts a text at its placeholders. A brace that opens none is literal; LintTemplate refuses those.
func compile(text string) (c candidate) {
	rest, from := text, 0
	for {
		open := strings.IndexByte(rest[from:], '{')
		if open < 0 {
			break
		}
		open += from
		s := slotAt(rest[open:])
		if s == slotNone {
			from = open + 1
			continue
		}
		c.add(segment{rest[:open], s})
		rest, from = rest[open+len(slotNames[s]):], 0
	}
	if rest != "" {
		c.add(segment{literal: rest})
	}
	return c
}

func (c *candidate) add(s segment) {
	c.segments = append(c.segments, s)
	c.literal = c.literal.plus(costOf(s.literal))
	if s.slot != slotNone {
		c.uses[s.slot]++
	}
}

// slotAt returns the placeholder that a text begins with.
func slotAt(s string) slot {
	for i := slotCode; i < slots; i++ {
		if strings.HasPrefix(s, slotNames[i]) {
			return i
		}
	}
	return slotNone
}

// values are what the placeholders stand for, with what each costs.
type values struct {
	text [slots]string
	cost [slots]cost
}

func (v *values) set(s slot, text string) {
	v.text[s] = text
	v.cost[s] = costOf(text)
}

// cost returns the size of the text with its values, at most one full stop too much (see write).
func (c *candidate) cost(v *values) cost {
	sum := c.literal
	for s := slotCode; s < slots; s++ {
		for range c.uses[s] {
			sum = sum.plus(v.cost[s])
		}
	}
	return sum
}

// write appends the text with its values. A value that ends in a full stop ends the sentence with it: after
// "Ltd." comes no second one.
func (c *candidate) write(b *strings.Builder, v *values) {
	before := ""
	for _, s := range c.segments {
		literal := s.literal
		if strings.HasSuffix(before, ".") {
			literal = strings.TrimPrefix(literal, ".")
		}
		before = v.text[s.slot]
		b.WriteString(literal)
		b.WriteString(before)
	}
}
