package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// promised lists the guarantees that are kept, by their numbers.
func promised() (numbers []int) {
	for n := 1; n <= 31; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

var (
	promise = regexp.MustCompile(`(?m)^\| (\d+) \| \*\*([^*]+)\*\*`)
	figure  = regexp.MustCompile(`GUARANTEE (\d+) \S+: .*=.*`)
	planned = regexp.MustCompile(`(?i)\bplanned\b`)
)

// parsePromises returns the names of the guarantees, which must all be there,
// and kept now.
func parsePromises(doc string) (map[int]string, error) {
	names := map[int]string{}
	for _, m := range promise.FindAllStringSubmatch(doc, -1) {
		n, _ := strconv.Atoi(m[1])
		names[n] = cmp.Or(names[n], strings.TrimSuffix(m[2], "."))
	}
	var errs []error
	for _, n := range promised() {
		if names[n] == "" {
			errs = append(errs, fmt.Errorf("no row says what guarantee %d is", n))
		}
	}
	for row := range strings.Lines(doc) {
		if strings.HasPrefix(row, "|") && planned.MatchString(row) {
			errs = append(errs, fmt.Errorf("a guarantee that is not kept yet: %s", strings.TrimSpace(row)))
		}
	}
	return names, errors.Join(errs...)
}

// figures returns the figures in the words of the tests, sorted, each once.
func figures(said string) []string {
	var lines []string
	for line := range strings.Lines(said) {
		if f := figure.FindString(strings.TrimRight(line, "\n")); f != "" {
			lines = append(lines, f)
		}
	}
	return sorted(lines)
}

// sorted sorts figures by guarantee, then by name, in the order they were said.
func sorted(lines []string) []string {
	slices.SortStableFunc(lines, func(a, b string) int {
		return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(name(a), name(b)))
	})
	return slices.Compact(lines)
}

func number(line string) int {
	n, _ := strconv.Atoi(figure.FindStringSubmatch(line)[1])
	return n
}

func name(line string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(line, "GUARANTEE "), ": ")
	return name
}

// certifiedLine is the figure of the tests that ran with certified cryptography
// alone.
func certifiedLine(said string) (string, error) {
	passed, failed := strings.Count(said, "--- PASS: "), strings.Count(said, "--- FAIL: ")
	packages := len(regexp.MustCompile(`(?m)^ok  \t`).FindAllString(said, -1))
	if failed > 0 || passed == 0 || packages == 0 {
		return "", fmt.Errorf("%s: %d packages, %d tests passed, %d failed", fipsOnly, packages, passed, failed)
	}
	return fmt.Sprintf("GUARANTEE 21 root-suite: mode=fips140=only packages=%d passed=%d skipped=%d failed=0",
		packages, passed, strings.Count(said, "--- SKIP: ")), nil
}

// report prints the figures, each guarantee's under its name, and fails if one
// has none.
func report(out io.Writer, names map[int]string, lines []string) error {
	var missing []string
	for _, n := range promised() {
		fmt.Fprintf(out, "%d %s\n", n, names[n])
		found := false
		for _, line := range lines {
			if number(line) == n {
				found = true
				fmt.Fprintln(out, "  "+line)
			}
		}
		if !found {
			fmt.Fprintln(out, "  nothing")
			missing = append(missing, fmt.Sprintf("%d (%s)", n, names[n]))
		}
	}
	for _, line := range lines {
		if !slices.Contains(promised(), number(line)) {
			missing = append(missing, "what is promised with "+strconv.Quote(line))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("no figure for %s", strings.Join(missing, ", "))
	}
	fmt.Fprintf(out, "%d figures, and none of %d guarantees without one\n", len(lines), len(promised()))
	return nil
}

// failures returns what the tests said that failed.
func failures(said []byte) []byte {
	var out, held bytes.Buffer
	for line := range bytes.Lines(said) {
		text := strings.TrimLeft(string(line), " ")
		switch {
		case strings.HasPrefix(text, "=== "):
		case strings.HasPrefix(text, "--- PASS"), strings.HasPrefix(text, "PASS"), strings.HasPrefix(text, "ok "), strings.Contains(text, "no test files"):
			held.Reset()
		case strings.HasPrefix(text, "--- FAIL"), strings.HasPrefix(text, "FAIL"), strings.HasPrefix(text, "panic:"), strings.HasPrefix(text, "# "):
			held.WriteTo(&out)
			out.Write(line)
		default:
			held.Write(line)
		}
	}
	held.WriteTo(&out)
	const most = 50 << 10
	return out.Bytes()[max(0, out.Len()-most):]
}
