// Command mutants judges what gremlins found in one room. It does not run gremlins: scripts/mutants.sh does.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

const (
	leastPercent      = 90 // of the mutants that are not equivalent
	equivalentPercent = 5  // of all mutants, at most
)

// report is the part of gremlins' JSON that is read.
type report struct {
	Files []struct {
		Name      string `json:"file_name"`
		Mutations []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
			Line   int    `json:"line"`
		} `json:"mutations"`
	} `json:"files"`
}

// place names a mutant in a way that survives moved lines.
type place struct{ file, mutator, text string }

// tally counts the mutants of a room by what became of them.
type tally struct{ killed, timedOut, lived, uncovered, equivalent int }

func main() {
	room := flag.String("room", "", "package below internal/")
	list := flag.String("equivalent", "", "file of equivalent mutants")
	flag.Parse()
	if err := run(os.Stdout, *room, *list, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(w io.Writer, room, list, results string) error {
	data, err := os.ReadFile(results)
	if err != nil {
		return err
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("%s: %w", results, err)
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	listed, err := parseEquivalent(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	t, err := count(w, room, r, listed)
	if err != nil {
		return err
	}
	return t.judge(w, room)
}

// parseEquivalent reads lines of four fields separated by tabs: file, mutator, text of the line, reason. Each line
// excuses one mutant. It returns how many are excused at each place, and an error for a line without all four.
func parseEquivalent(text string) (map[place]int, error) {
	listed := map[place]int{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 || strings.TrimSpace(f[3]) == "" {
			return nil, fmt.Errorf("line %d: want file, mutator, text of the line and reason, separated by tabs", i+1)
		}
		listed[place{f[0], f[1], strings.TrimSpace(f[2])}]++
	}
	return listed, nil
}

// count sorts the mutants of a room and prints those that no test noticed. It uses up listed.
func count(w io.Writer, room string, r report, listed map[place]int) (tally, error) {
	var t tally
	for _, f := range r.Files {
		name := f.Name
		if dir := path.Join("internal", room); !strings.HasPrefix(name, dir+"/") {
			name = path.Join(dir, name)
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return t, err
		}
		lines := strings.Split(string(source), "\n")
		for _, m := range f.Mutations {
			switch m.Status {
			case "KILLED":
				t.killed++
			case "TIMED OUT":
				t.timedOut++
			case "LIVED", "NOT COVERED":
				if m.Line < 1 || m.Line > len(lines) {
					return t, fmt.Errorf("%s has no line %d", name, m.Line)
				}
				at := place{name, m.Type, strings.TrimSpace(lines[m.Line-1])}
				if listed[at] > 0 {
					listed[at]--
					t.equivalent++
					continue
				}
				if m.Status == "LIVED" {
					t.lived++
				} else {
					t.uncovered++
				}
				fmt.Fprintf(w, "%s:%d: %s %s: %s\n", name, m.Line, strings.ToLower(m.Status), m.Type, at.text)
			}
		}
	}
	return t, nil
}

// judge prints the figures of a room. It returns an error below the bound, or with too many equivalent mutants.
func (t tally) judge(w io.Writer, room string) error {
	killed := t.killed + t.timedOut
	judged := killed + t.lived + t.uncovered
	all := judged + t.equivalent
	if all == 0 {
		fmt.Fprintf(w, "%s: no mutants\n", room)
		return nil
	}
	fmt.Fprintf(w, "%s: %d mutants, %d killed (%d by timeout), %d lived, %d not covered, %d equivalent: %.1f %%\n",
		room, all, killed, t.timedOut, t.lived, t.uncovered, t.equivalent, 100*float64(killed)/float64(max(judged, 1)))
	var errs []error
	if killed*100 < judged*leastPercent {
		errs = append(errs, fmt.Errorf("%s: fewer than %d %% of the mutants are noticed", room, leastPercent))
	}
	if t.equivalent*100 > all*equivalentPercent {
		errs = append(errs, fmt.Errorf("%s: more than %d %% are listed as equivalent", room, equivalentPercent))
	}
	return errors.Join(errs...)
}
