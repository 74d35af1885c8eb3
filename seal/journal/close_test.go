package journal_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/seal/journal"
)

// Of several that close a journal at once, as a server's end and a test's cleanup do,
// one does, and the others are told that it is closed: each gave the place back, under
// the others' hands, and wrote that this process had ended.
func TestClosedByMany(t *testing.T) {
	place := inDir(t)
	writing, goOn := make(chan struct{}, 1), make(chan struct{})
	last := false // whether the next write is that of Close
	j := open(t, journal.Config{Place: journal.Gate{File: place, Before: func() error {
		if last {
			writing <- struct{}{}
			<-goOn
		}
		return nil
	}}})
	j.Event(event(1))
	must(t, j.Flush(t.Context()))
	last = true
	first := make(chan error)
	go func() { first <- j.Close() }()
	<-writing
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			if err := j.Close(); !errors.Is(err, journal.ErrClosed) {
				t.Errorf("closed by another as well: %v", err)
			}
		})
	}
	others.Wait()
	last = false
	close(goOn)
	if err := <-first; err != nil {
		t.Errorf("closed: %v", err)
	}
	if kinds, _, err := read(place, j.Status().Head); err != nil || kinds != "journal-open share journal-close" {
		t.Errorf("read %q, %v", kinds, err)
	}
}
