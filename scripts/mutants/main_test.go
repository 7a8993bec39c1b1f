package main

import (
	"io"
	"testing"
)

func TestParseEquivalent(t *testing.T) {
	t.Parallel()
	got, err := parseEquivalent("# comment\nf.go\tM\tif a {\tsame\nf.go\tM\tif a {\tsame, other column\n")
	if err != nil || got[place{"f.go", "M", "if a {"}] != 2 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"f.go\tM\tif a {", "f.go\tM\tif a {\t ", "f.go"} {
		if _, err := parseEquivalent(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		t    tally
		ok   bool
	}{
		{"nothing", tally{}, true},
		{"at the bound", tally{killed: 90, lived: 10}, true},
		{"below the bound", tally{killed: 89, lived: 11}, false},
		{"uncovered counts", tally{killed: 89, uncovered: 11}, false},
		{"a timeout is a kill", tally{killed: 80, timedOut: 10, lived: 10}, true},
		{"equivalent at the bound", tally{killed: 95, equivalent: 5}, true},
		{"too many equivalent", tally{killed: 94, equivalent: 6}, false},
		{"equivalent is no kill", tally{killed: 85, lived: 10, equivalent: 5}, false},
	} {
		if err := c.t.judge(io.Discard, "room"); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
