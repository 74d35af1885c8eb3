// Command proof runs the tests of every module, and the root module's once more
// with certified cryptography alone, and prints what they proved: a line for each
// figure, sorted by the guarantees of docs/GUARANTEES.md. It fails if a test does,
// or if a guarantee has no line.
//
//	go run ./internal/proof                 all of it, in one run
//	go run ./internal/proof -from LOG       what the log of "go test -v work" shows
//
// With -from, the figures are those of the log alone; -fips names that of the
// root module's tests under GODEBUG=fips140=only.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

const fipsOnly = "GODEBUG=fips140=only"

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
		if suite, err = test(out, nil, "work"); err == nil {
			certified, err = test(out, []string{fipsOnly}, "./...")
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

// test runs the tests and returns what they said; where one fails, an error
// with what it said.
func test(out io.Writer, env []string, packages string) ([]byte, error) {
	args := []string{"go", "test", "-count=1", "-v", "-timeout", "30m", packages}
	begun := time.Now()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	if env != nil {
		cmd.Env = append(cmd.Env, "GOWORK=off") // "./..." is the root module
	}
	said, err := cmd.CombinedOutput()
	command := strings.Join(append(env, args...), " ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", command, err, failures(said))
	}
	passed, skipped := bytes.Count(said, []byte("--- PASS: ")), bytes.Count(said, []byte("--- SKIP: "))
	fmt.Fprintf(out, "%s: %d tests passed, %d skipped, %.0f s\n", command, passed, skipped, time.Since(begun).Seconds())
	return said, nil
}
