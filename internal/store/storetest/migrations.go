package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/store/tables"
)

// OldRows returns the rows that a version of the schema wrote: the file of testdata/migrations of that number, beside
// the test that asks.
func OldRows(t *testing.T, version int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "migrations", fmt.Sprintf("%04d.sql", version)))
	if err != nil {
		t.Fatalf("say what rows schema %d has: %v", version, err)
	}
	return string(text)
}

// Dump returns the first column of a query, a row a line. Without rows the test fails.
func Dump(t *testing.T, c tables.Conn, sql string) string {
	t.Helper()
	var out strings.Builder
	err := c.Query(sql, func(r tables.Row) error { out.Write(r.Raw(0)); out.WriteByte('\n'); return nil })
	if err != nil || out.Len() == 0 {
		t.Fatalf("%s: %v", sql, err)
	}
	return out.String()
}

// NoJSON holds that there are rows, and that none is JSON any more.
func NoJSON(t *testing.T, c tables.Conn) {
	t.Helper()
	for _, column := range []string{"data FROM numbers", "spec FROM verifications", "state FROM verifications"} {
		seen := 0
		if err := c.Query("SELECT "+column, func(r tables.Row) error {
			seen++
			if raw := r.Raw(0); len(raw) == 0 || raw[0] == '{' {
				t.Errorf("%s is still %q", column, raw)
			}
			return nil
		}); err != nil || seen == 0 {
			t.Errorf("%d rows of %s, %v", seen, column, err)
		}
	}
}
