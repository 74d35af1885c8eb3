// Package testlevel says how much the tests are to try. There are three levels:
//
//	go test -short ./...                    a sample, within half a minute
//	go test ./...                           every test; an enumeration makes a part of its trials
//	SEALWRIGHT_TESTS=whole go test ./...    all trials: what the figures of docs/GUARANTEES.md come from
//
// A test asks testing.Short for the first and [Whole] for the last. It is for tests
// alone.
package testlevel

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// Whole reports whether all trials are to be made, however long they take. That is
// so, too, where one of them is asked for by its name, go test -run Test/trial: it is
// there at any level.
func Whole() bool {
	run := flag.Lookup("test.run")
	return os.Getenv("SEALWRIGHT_TESTS") == "whole" || run != nil && strings.Contains(run.Value.String(), "/")
}

// NeedsWhole skips the test unless all trials are to be made, and says what it does
// that takes so long.
func NeedsWhole(t testing.TB, does string) {
	t.Helper()
	if !Whole() {
		t.Skip(does + "; SEALWRIGHT_TESTS=whole runs it")
	}
}

// Most is n, or with -short less.
func Most[T any](n, short T) T {
	if testing.Short() {
		return short
	}
	return n
}

// Counted logs a figure of a test that makes all of its trials, but with -short.
func Counted(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	if testing.Short() {
		line = "of a sample: " + strings.TrimPrefix(line, "GUARANTEE ")
	}
	t.Log(line)
}

// Main runs a package's tests, with -short so that garbage is collected seldom: it is
// little, of many small tests, and took a fifth of their time.
func Main(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		debug.SetGCPercent(400)
	}
	m.Run()
}
