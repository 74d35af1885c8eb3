package apicheck_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/apicheck"
	"github.com/sealwright/sealwright/internal/testlevel"
)

// TestReadme holds the README's Go to the code: a whole program must build,
// and anything shorter must stand in a Go file, which the build compiles and,
// in an Example, the tests run.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	tree := os.DirFS(repository)
	for _, snippet := range apicheck.Snippets(strings.ReplaceAll(string(text), "\r\n", "\n")) {
		if snippet.Program() {
			if testing.Short() {
				continue // -short: the go command takes as long as all else
			}
			if out, err := build(t, snippet.Text); err != nil {
				t.Errorf("README.md:%d does not build: %v\n%s", snippet.Line, err, out)
			}
			continue
		}
		file, err := snippet.FoundIn(tree)
		if err != nil {
			t.Fatal(err)
		}
		if file == "" {
			t.Errorf("README.md:%d stands in no Go file, so that nothing compiles it: put it into an Example", snippet.Line)
		}
	}
}

// build compiles a program in a workspace of its own, with the modules of the
// repository that it imports from: what the others need is fetched for nothing.
func build(t *testing.T, program string) (string, error) {
	t.Helper()
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	work := "go 1.26.0\n\nuse .\n"
	modules := map[string]bool{}
	for _, p := range loadOurs(t) {
		imported := strings.Contains(program, strconv.Quote(p.Path()))
		if (imported || p.Module == ".") && !modules[p.Module] {
			modules[p.Module] = true
			work += "use " + filepath.ToSlash(filepath.Join(root, filepath.FromSlash(p.Module))) + "\n"
		}
	}
	files := map[string][]byte{
		"go.mod":  []byte("module example.com/readme\n\ngo 1.26.0\n"),
		"go.work": []byte(work),
		"main.go": []byte(program),
	}
	if sums, err := os.ReadFile(filepath.Join(root, "go.work.sum")); err == nil {
		files["go.work.sum"] = sums
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// list -export compiles a package whatever its name, and links nothing.
	cmd := exec.Command("go", "list", "-export", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(dir, "go.work"), "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestReadmeProgramsAreBuilt(t *testing.T) {
	testlevel.NeedsWhole(t, "runs the go command twice more")
	const program = "package main\n\nimport \"github.com/sealwright/sealwright/kms\"\n\nfunc main() { println(kms.MaxKeySize) }\n"
	if out, err := build(t, program); err != nil {
		t.Errorf("a sound program does not build: %v\n%s", err, out)
	}
	if out, err := build(t, strings.Replace(program, "MaxKeySize", "NoSuchName", 1)); err == nil || !strings.Contains(out, "NoSuchName") {
		t.Errorf("a program with an unknown name builds: %v\n%s", err, out)
	}
}

func TestSnippets(t *testing.T) {
	const markdown = "# Title\n```go\nx := 1\n\n  y := 2\n```\ntext\n```sh\ngo test\n```\n\n- item\n  ```go\n  package main\n  ```\n"
	got := apicheck.Snippets(markdown)
	want := []apicheck.Snippet{{Line: 3, Text: "x := 1\n\n  y := 2\n"}, {Line: 14, Text: "  package main\n"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	for _, tc := range []struct {
		file, text string
		want       string
	}{
		{"a/a_test.go", "func Example() {\n\t\tx := 1\n\t\ty := 2\n}\n", "a/a_test.go"},
		{"a/a_test.go", "func Example() {\n\tx := 1\n\tz := 3\n\ty := 2\n}\n", ""},
		{"a/a_test.go", "func Example() {\n\tmax := 1\n\ty := 2\n}\n", ""},
		{"a/testdata/a.go", "x := 1\ny := 2\n", ""},
		{"a/a.md", "x := 1\ny := 2\n", ""},
	} {
		file, err := got[0].FoundIn(fstest.MapFS{tc.file: {Data: []byte(tc.text)}})
		if err != nil || file != tc.want {
			t.Errorf("in %q: found in %q, %v; want %q", tc.text, file, err, tc.want)
		}
	}
}
