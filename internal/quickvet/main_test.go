package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
)

// A program that calls what two packages below it print, by a function and by
// an interface, and one that has nothing to say.
var program = map[string]string{
	"go.mod":         "module example.com/quick\n\ngo 1.26\n",
	"plain/plain.go": "package plain\n\nfunc Sum(n ...int) int { return len(n) }\n",
	"deep/deep.go": "package deep\n\nimport \"fmt\"\n\n" +
		"func Say(format string, args ... interface { }) string { return fmt.Sprintf(format, args...) }\n",
	"log/log.go": "package log\n\nimport \"example.com/quick/deep\"\n\n" +
		"func Warn(format string, args ...any) string { return deep.Say(format, args...) }\n",
	"main.go": "package main\n\nimport (\n\t\"example.com/quick/log\"\n\t\"example.com/quick/plain\"\n)\n\n" +
		"func main() { println(log.Warn(\"%d\", \"text\"), plain.Sum(1)) }\n",
}

// asTool has the test program be quickvet itself.
const asTool = "QUICKVET_TEST_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(asTool) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// What vet says of a call of a function far below, quickvet says as well, and it
// does not read the package that has none.
func TestQuickvetSaysWhatVetSays(t *testing.T) {
	testlevel.NeedsWhole(t, "runs go vet")
	dir := t.TempDir()
	for name, text := range program {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tool, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	vet, err := exec.Command("go", "tool", "-n", "vet").Output()
	if err != nil {
		t.Fatal(err)
	}
	said := func(args ...string) string {
		cmd := exec.Command("go", append(append([]string{"vet"}, args...), ".")...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), asTool+"=1", "VET="+strings.TrimSpace(string(vet)), "GOWORK=off", "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("go vet %v finds nothing", args)
		}
		return string(out)
	}
	want, got := said(), said("-vettool="+tool)
	const finding = "example.com/quick/log.Warn format %d has arg \"text\" of wrong type string"
	if !strings.Contains(want, finding) || !strings.Contains(got, finding) {
		t.Errorf("vet says\n%sand quickvet\n%s", want, got)
	}
}

func TestQuickvetSkips(t *testing.T) {
	for _, tc := range []struct {
		name, source string
		only, vetted bool
	}{
		{"a package with nothing variadic", "package p\n\nfunc f(n []any) {}\n", true, false},
		{"one that takes strings", "package p\n\nfunc f(n ...string) {}\n", true, false},
		{"one that takes anything", "package p\n\nfunc f(format string, n ...any) {}\n", true, true},
		{"the same by its old name", "package p\n\nfunc f(format string, n ...interface{}) {}\n", true, true},
		{"the package that is vetted", "package p\n", false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			source := filepath.Join(dir, "p.go")
			if err := os.WriteFile(source, []byte(tc.source), 0o600); err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(dir, "vet.out")
			config, err := json.Marshal(map[string]any{"VetxOnly": tc.only, "VetxOutput": out, "GoFiles": []string{source}})
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "vet.cfg")
			if err := os.WriteFile(path, config, 0o600); err != nil {
				t.Fatal(err)
			}
			done, err := skipped(path)
			if _, missing := os.Stat(out); err != nil || done == tc.vetted || done != (missing == nil) {
				t.Errorf("skipped: %t, %v; its facts: %v", done, err, missing)
			}
		})
	}
}

func TestQuickvetAlone(t *testing.T) {
	if err := run("", []string{"./..."}); err == nil || !strings.Contains(err.Error(), "set VET") {
		t.Error(err)
	}
}
