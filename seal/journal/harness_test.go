package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inDir returns the place of a journal in a new directory.
func inDir(t testing.TB) journal.File {
	return journal.File{Path: filepath.Join(t.TempDir(), "journal")}
}

func open(t testing.TB, cfg journal.Config) *journal.Journal {
	t.Helper()
	j, err := journal.Open(cfg)
	must(t, err)
	t.Cleanup(func() { j.Close() })
	return j
}

// event returns the nth event of a story.
func event(n int) seal.Event {
	return seal.Event{
		Time: time.Date(2026, 11, 30, 12, 0, n, 0, time.UTC), Kind: seal.EventShare, Replica: "a", Actor: "alice",
		Operation: "OP", Slot: "people", Generation: uint64(n), Detail: fmt.Sprintf("share %d", n),
	}
}

// read returns the kinds of what is there, and the first fault.
func read(place journal.Place, heads ...journal.Head) (kinds string, events []seal.Event, err error) {
	var all []string
	for e, err := range journal.Read(context.Background(), place, heads...) {
		if err != nil {
			return strings.Join(all, " "), events, err
		}
		all = append(all, string(e.Kind))
		events = append(events, e)
	}
	return strings.Join(all, " "), events, nil
}

func content(t testing.TB, place journal.File) []byte {
	t.Helper()
	text, err := os.ReadFile(place.Path)
	must(t, err)
	return text
}

// wantFault checks what Verify says by its kind, the seq, and words.
func wantFault(t testing.TB, err, is error, seq uint64, words string) {
	t.Helper()
	fault, ok := errors.AsType[*journal.Fault](err)
	if !ok || !errors.Is(err, is) || fault.Seq != seq || !strings.Contains(err.Error(), words) {
		t.Errorf("fault %v, want %v at seq %d with %q", err, is, seq, words)
	}
}

// A fault is an error that comes and goes.
type fault struct {
	mu   sync.Mutex
	err  error
	asks int
}

func (f *fault) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fault) ask() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asks++
	return f.err
}

func (f *fault) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asks
}
