package record_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
)

func TestPerson(t *testing.T) {
	for name, want := range map[string]string{
		"":                      "",
		"ada":                   "ada",
		`EXAMPLE\ada (she/her)`: `EXAMPLE\ada (she/her)`,
		"José":                  "Jos%C3%A9",
		"Jos%C3%A9":             "Jos%25C3%25A9",
		"100%":                  "100%25",
		"日本":                    "%E6%97%A5%E6%9C%AC",
		"a\nseal by=root":       "a%0Aseal by=root",
		"\xff\x00":              "%FF%00",
		strings.Repeat("x", 64): strings.Repeat("x", 64),
		strings.Repeat("x", 65): strings.Repeat("x", 38) + "%#9537c5fdf120482f7d58d25e",
		// Never in the middle of an escape.
		strings.Repeat("x", 37) + strings.Repeat("é", 20): strings.Repeat("x", 37) + "%#",
	} {
		got := record.Person(name)
		if got != want && !(strings.HasSuffix(want, "%#") && strings.HasPrefix(got, want)) {
			t.Errorf("Person(%q) = %q, want %q", name, got, want)
		}
		if err := record.CheckIdentity(got); err != nil {
			t.Error(err)
		}
	}
}

// FuzzPerson: any name makes one that a record takes, no two the same.
func FuzzPerson(f *testing.F) {
	long := strings.Repeat("é", 40)
	for _, pair := range [][2]string{{"José", "Jos%C3%A9"}, {long, long + "x"}, {long, record.Person(long)}, {"%", "%25"}, {"%#", "%25#"}, {"", "\x00"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		a, b := record.Person(one), record.Person(other)
		if err := record.CheckIdentity(a); err != nil {
			t.Error(err)
		}
		if (a == b) != (one == other) {
			t.Errorf("%q and %q are %q and %q", one, other, a, b)
		}
	})
}
