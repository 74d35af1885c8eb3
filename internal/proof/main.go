// Command proof runs the tests of every module, those outside the workspace in
// their own directories, and the root module's once more with certified
// cryptography alone, and prints what they proved: a line for each
// figure, sorted by the guarantees of docs/GUARANTEES.md. It fails if a test does,
// or if a guarantee has no line.
//
//	go run ./internal/proof                 all of it, in one run
//	go run ./internal/proof -from LOG       what the log of all those tests shows
//
// With -from, the figures are those of the log alone; -fips names that of the
// root module's tests under GODEBUG=fips140=only.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"
)

const (
	fipsOnly = "GODEBUG=fips140=only"
	whole    = "SEALWRIGHT_TESTS=whole" // see internal/testlevel
)

func main() {
	from := flag.String("from", "", "the log of go test -v to read, instead of running the tests")
	fips := flag.String("fips", "", "with -from, the log of go test -v under "+fipsOnly)
	promises := flag.String("promises", "docs/GUARANTEES.md", "the guarantees")
	flag.Parse()
	if err := run(os.Stdout, *from, *fips, *promises); err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, from, fips, promises string) error {
	doc, err := os.ReadFile(promises)
	if err != nil {
		return err
	}
	names, err := parsePromises(string(doc))
	if err != nil {
		return fmt.Errorf("%s: %w", promises, err)
	}
	var suite, certified []byte
	if from == "" {
		if suite, err = testAll(out); err == nil {
			certified, err = test(out, ".", []string{alone, fipsOnly}, "./...")
		}
	} else if suite, err = os.ReadFile(from); err == nil && fips != "" {
		certified, err = os.ReadFile(fips)
	}
	if err != nil {
		return err
	}
	lines := figures(string(suite))
	if len(certified) > 0 {
		line, err := certifiedLine(string(certified))
		if err != nil {
			return err
		}
		lines = sorted(append(lines, line))
	}
	return report(out, names, lines)
}

// alone has the go command see the module of its directory and no other.
const alone = "GOWORK=off"

// testAll runs the tests of the workspace, then of each module outside it.
func testAll(out io.Writer) ([]byte, error) {
	said, err := test(out, ".", nil, "work")
	if err != nil {
		return nil, err
	}
	modules, err := outside(os.DirFS("."))
	if err != nil {
		return nil, err
	}
	for _, dir := range modules {
		more, err := test(out, dir, []string{alone}, "./...")
		if err != nil {
			return nil, err
		}
		said = append(said, more...)
	}
	return said, nil
}

// outside returns the directories of the modules that go.work does not use.
func outside(fsys fs.FS) ([]string, error) {
	work, err := fs.ReadFile(fsys, "go.work")
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for line := range strings.Lines(string(work)) {
		used[path.Clean(strings.TrimSpace(strings.TrimPrefix(line, "use ")))] = true
	}
	var dirs []string
	err = fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		base := path.Base(name)
		if err == nil && entry.IsDir() && (base == "testdata" || len(base) > 1 && base[0] == '.') {
			return fs.SkipDir
		}
		if dir := path.Dir(name); err == nil && base == "go.mod" && !used[dir] {
			dirs = append(dirs, dir)
		}
		return err
	})
	return dirs, err
}

// test runs the tests and returns what they said; where one fails, an error
// with what it said.
func test(out io.Writer, dir string, env []string, packages string) ([]byte, error) {
	args := []string{"go", "test", "-count=1", "-v", "-timeout", "30m", packages}
	begun := time.Now()
	cmd := exec.Command(args[0], args[1:]...)
	env = append([]string{whole}, env...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	said, err := cmd.CombinedOutput()
	command := strings.Join(append(env, args...), " ")
	if dir != "." {
		command = "cd " + dir + " && " + command
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", command, err, failures(said))
	}
	passed, skipped := bytes.Count(said, []byte("--- PASS: ")), bytes.Count(said, []byte("--- SKIP: "))
	fmt.Fprintf(out, "%s: %d tests passed, %d skipped, %.0f s\n", command, passed, skipped, time.Since(begun).Seconds())
	return said, nil
}
