package config

import (
	"errors"
	"strings"
	"testing"
)

// FuzzLoad: no text makes the program fall over; what is refused is refused as Problems that say something; what is
// taken holds what Validate promises.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", good, shortest, "a: [", "- 1", "null", "--- 1\n--- 2", "keys: [{id: 1, secret: x, secret_file: " +
			"y}]", "routes: [{settings: 1}]",
		"a: &a [*a]", "listen: !!binary aGk=", "limits: {number_gaps: [1s, 30]}", "<<: {listen: x}", "routes:\n- <<: &r " +
			"{name: a}\n- *r\n",
		"keys: {id: 1}", "routes: [{price: {GB: 1.5}, senders: {GB: 1}}]", "log: 1", "listen: a\nlisten: b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "_file") {
			t.Skip("a file name may be anything, /dev/zero too")
		}
		c, err := Parse("dialproof.yaml", []byte(text), vars())
		if err != nil {
			p, ok := errors.AsType[Problems](err)
			if !ok || len(p) == 0 {
				t.Fatalf("got %T %v, want Problems", err, err)
			}
			for _, one := range p {
				if one.Path == "" || one.Text == "" {
					t.Errorf("a problem without words: %+v", one)
				}
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("taken, but not valid: %v", err)
		}
		for _, k := range c.Keys {
			if b, err := k.Bytes(); err != nil || len(b) < minKey {
				t.Errorf("taken with a key of %d bytes, %v", len(b), err)
			}
		}
	})
}
