package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// said is a run in which the guarantees but for without have a figure.
func said(without int) string {
	var b strings.Builder
	for _, n := range slices.Backward(promised()) {
		if n != without {
			fmt.Fprintf(&b, "=== RUN   TestX\n    x_test.go:9: GUARANTEE %d thing: figure=%d\n", n, n)
		}
	}
	b.WriteString("    x_test.go:9: GUARANTEE 7 and this is no figure\n    y_test.go:9: GUARANTEE 8 also: a=1\n--- PASS: TestX\nok  \tpkg\t1s\n")
	return b.String()
}

func promises() string {
	var b strings.Builder
	for _, n := range promised() {
		fmt.Fprintf(&b, "| %d | **Promise %d.** It holds | proof |\n", n, n)
	}
	return b.String()
}

func proof(t *testing.T, promises, suite, fips string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"promises": promises, "suite": suite, "fips": fips} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	err := run(&out, filepath.Join(dir, "suite"), filepath.Join(dir, "fips"), filepath.Join(dir, "promises"))
	return out.String(), err
}

func TestEveryGuaranteeHasAFigure(t *testing.T) {
	fips := "--- SKIP: TestY\n--- PASS: TestX\nok  \tpkg\t1s\n"
	out, err := proof(t, promises(), said(0), fips)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"8 Promise 8\n  GUARANTEE 8 also: a=1\n  GUARANTEE 8 thing: figure=8\n9 Promise 9\n",
		"  GUARANTEE 21 root-suite: mode=fips140=only packages=1 passed=1 skipped=1 failed=0\n",
		"33 figures, and none of 31 guarantees without one\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, n := range promised() {
		fips := fips
		switch n {
		case 8:
			continue // has two
		case 21:
			fips = ""
		}
		if out, err := proof(t, promises(), said(n), fips); err == nil || err.Error() != fmt.Sprintf("no figure for %d (Promise %d)", n, n) {
			t.Errorf("without %d: %v\n%s", n, err, out)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct{ promises, suite, fips, want string }{
		"a promise is gone":       {strings.Replace(promises(), "| 7 |", "| x |", 1), said(0), "", "no row says what guarantee 7 is"},
		"a promise for later":     {strings.Replace(promises(), "It holds", "Planned", 1), said(0), "", "not kept yet: | 1 |"},
		"no such promise":         {promises(), said(0) + "GUARANTEE 32 more: a=1\n", "", `what is promised with "GUARANTEE 32 more: a=1"`},
		"certified tests failed":  {promises(), said(0), "--- PASS: TestX\n--- FAIL: TestY\nok  \tpkg\t1s\n", "fips140=only: 1 packages, 1 tests passed, 1 failed"},
		"no certified tests at a": {promises(), said(0), "ok  \tpkg\t1s\n", "0 tests passed"},
	} {
		if out, err := proof(t, test.promises, test.suite, test.fips); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q\n%s", name, err, test.want, out)
		}
	}
}

func TestFailuresAreShown(t *testing.T) {
	got := string(failures([]byte("=== RUN   TestA\n    a_test.go:1: fine\n--- PASS: TestA\n=== RUN   TestB\n    b_test.go:1: wrong\n--- FAIL: TestB\nFAIL\nFAIL\tpkg\nok  \tother\t1s\n")))
	if got != "    b_test.go:1: wrong\n--- FAIL: TestB\nFAIL\nFAIL\tpkg\n" {
		t.Errorf("%q", got)
	}
}

func TestOutside(t *testing.T) {
	tree := fstest.MapFS{
		"go.work":                    {Data: []byte("go 1.26.0\n\nuse (\n\t.\n\t./kms/cloud\n)\nuse ./single\n")},
		"go.mod":                     {},
		"kms/cloud/go.mod":           {},
		"single/go.mod":              {},
		"internal/heavy/go.mod":      {},
		"internal/heavy/more/go.mod": {},
		"testdata/go.mod":            {},
		".hidden/go.mod":             {},
	}
	dirs, err := outside(tree)
	if err != nil || !slices.Equal(dirs, []string{"internal/heavy", "internal/heavy/more"}) {
		t.Errorf("%q, %v", dirs, err)
	}
	// Those of this repository: a module that is forgotten proves nothing.
	dirs, err = outside(os.DirFS("../.."))
	if err != nil || !slices.Contains(dirs, "internal/sqltest") || slices.Contains(dirs, "examples") {
		t.Errorf("%q, %v", dirs, err)
	}
}

// The guarantees of this repository.
func TestPromises(t *testing.T) {
	doc, err := os.ReadFile("../../docs/GUARANTEES.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsePromises(string(doc)); err != nil {
		t.Error(err)
	}
}
