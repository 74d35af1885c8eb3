package sqlstore

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// TestStatements compares every text that may reach a database with the golden
// file. internal/sqltest runs them.
func TestStatements(t *testing.T) {
	var b strings.Builder
	for _, d := range []Dialect{PostgreSQL, MySQL, SQLite} {
		for _, table := range []string{"", "vault.seal_2"} {
			c, err := Config{Dialect: d, Table: table}.complete()
			if err != nil {
				t.Fatal(err)
			}
			s := c.statements()
			fmt.Fprintf(&b, "%v %s\n----\n", d, c.Table)
			for _, text := range []string{s.schema, s.load, s.revision, s.insert, s.update, s.tables, s.durable} {
				fmt.Fprintf(&b, "%s\n", text)
			}
			l := c.lineStatements()
			for _, text := range []string{l.schema, l.insert, l.has, l.last, l.after} {
				fmt.Fprintf(&b, "%s\n", text)
			}
			fmt.Fprintln(&b)
			if schema, err := (Config{Dialect: d, Table: table}).Schema(); err != nil || schema != s.schema {
				t.Errorf("Schema() = %q, %v, want %q", schema, err, s.schema)
			}
		}
	}
	const golden = "testdata/statements.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("statements differ from %s (-want +got); rewrite it with -update:\n%s", golden, diff)
	}
}

func TestRevision(t *testing.T) {
	seen := map[int64]bool{}
	for range 1000 {
		n := newRevision()
		if n < 1 || seen[n] {
			t.Fatalf("newRevision() = %d, which is not positive or not new", n)
		}
		seen[n] = true
		if got, ok := parseRevision(formatRevision(n)); !ok || got != n {
			t.Fatalf("parseRevision(formatRevision(%d)) = %d, %v", n, got, ok)
		}
	}
	for _, rev := range []string{"", "x", "1.0", "+1", "01", " 1", "1 ", "0x1", "9223372036854775808", "１"} {
		if n, ok := parseRevision(rev); ok {
			t.Errorf("parseRevision(%q) = %d, want none", rev, n)
		}
	}
}
