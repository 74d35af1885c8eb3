package journal_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// run runs a journal until stop is called.
func run(t *testing.T, j *journal.Journal) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); j.Run(ctx) }()
	return func() { cancel(); <-done }
}

func keptHead(t *testing.T, s seal.Store) journal.Head {
	t.Helper()
	text, _, err := s.Load(t.Context())
	must(t, err)
	head, err := journal.ParseHead(string(text))
	must(t, err)
	return head
}

// sometimes is a store that is out of reach while there is a fault.
type sometimes struct {
	seal.Store
	fault
}

func (s *sometimes) Load(ctx context.Context) ([]byte, string, error) {
	if err := s.ask(); err != nil {
		return nil, "", err
	}
	return s.Store.Load(ctx)
}

// The head kept elsewhere follows the journal, over restarts and outages.
func TestHeadsAreKept(t *testing.T) {
	virtual(t, func(t *testing.T) {
		place, heads := inDir(t), &sometimes{Store: seal.NewMemStore()}
		for range 2 {
			j, err := journal.Open(journal.Config{Place: place, Heads: heads})
			must(t, err)
			stop := run(t, j)
			for n := range 3 {
				j.Event(event(n))
			}
			synctest.Wait()
			if got := keptHead(t, heads); got != j.Status().Head {
				t.Errorf("kept is %v, want %v", got, j.Status().Head)
			}
			heads.set(errors.New("out of reach"))
			j.Event(event(4))
			synctest.Wait()
			if s := j.Status(); s.Heads == nil || s.Err != nil || !strings.Contains(s.Heads.Error(), "out of reach") {
				t.Errorf("status %+v", s)
			}
			heads.set(nil)
			time.Sleep(2 * time.Minute)
			if s := j.Status(); s.Heads != nil || keptHead(t, heads) != s.Head {
				t.Errorf("status %+v, kept %v", s, keptHead(t, heads))
			}
			must(t, j.Close())
			stop()
		}
		if _, err := journal.Verify(t.Context(), place, keptHead(t, heads)); err != nil {
			t.Error(err)
		}
	})
}

// A journal that was cut, or is another one, while no process ran, is noticed by
// the next one; the head kept stays, as evidence.
func TestHeadIsMissed(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, journal.File){
		"cut": func(t *testing.T, p journal.File) {
			text := content(t, p)
			must(t, os.WriteFile(p.Path, text[:len(text)*2/3], 0o600))
		},
		"another": func(t *testing.T, p journal.File) {
			must(t, os.Remove(p.Path))
			tell(t, p)
		},
		"begun anew, later": func(t *testing.T, p journal.File) { // by who hopes that the head passes for one of lines taken away
			text := string(content(t, p))
			text = strings.Replace(text[:strings.Index(text, "\n")+1], `"seq":1,`, `"seq":1000,`, 1)
			must(t, os.WriteFile(p.Path, []byte(text), 0o600))
		},
		"gone": func(t *testing.T, p journal.File) { must(t, os.Remove(p.Path)) },
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				place, heads := inDir(t), seal.NewMemStore()
				j, err := journal.Open(journal.Config{Place: place, Heads: heads})
				must(t, err)
				stop := run(t, j)
				for n := range 3 {
					j.Event(event(n))
				}
				synctest.Wait()
				must(t, j.Close())
				stop()
				kept := keptHead(t, heads)
				spoil(t, place)
				var failures told
				j, err = journal.Open(journal.Config{Place: place, Heads: heads, OnFailure: failures.tell})
				must(t, err)
				stop = run(t, j)
				j.Event(event(4))
				synctest.Wait()
				s := j.Status()
				if !errors.Is(s.Missing, journal.ErrCut) || !errors.Is(s.Heads, journal.ErrCut) || !strings.Contains(failures.String(), "was the journal cut, or replaced?") {
					t.Errorf("status %+v, told %q", s, failures.String())
				}
				j.Event(event(5))
				must(t, j.Close())
				stop()
				if got := keptHead(t, heads); got != kept {
					t.Errorf("the head kept was moved from %v to %v", kept, got)
				}
				if name == "begun anew, later" {
					_, err = journal.Verify(t.Context(), place, kept)
					wantFault(t, err, journal.ErrGap, 1000, "should be before it")
					return
				}
				_, err = journal.Verify(t.Context(), place)
				wantFault(t, err, journal.ErrCut, j.Status().Head.Seq-2, kept.String())
			})
		})
	}
}

// What is kept elsewhere and is no head is not written over.
func TestNotAHead(t *testing.T) {
	virtual(t, func(t *testing.T) {
		heads := seal.NewMemStore()
		_, err := heads.Swap(t.Context(), []byte("a record"), "")
		must(t, err)
		j, err := journal.Open(journal.Config{Place: inDir(t), Heads: heads})
		must(t, err)
		stop := run(t, j)
		j.Event(event(1))
		synctest.Wait()
		if s := j.Status(); !errors.Is(s.Heads, journal.ErrHead) || s.Err != nil {
			t.Errorf("status %+v", s)
		}
		must(t, j.Close())
		stop()
	})
}

// Old files that were archived since a head was kept are not missed by a process
// that starts and is told so; one that is not told takes them for cut off, whatever
// the next line follows.
func TestHeadOfAnArchivedFile(t *testing.T) {
	for name, told := range map[string]bool{"told": true, "not told": false} {
		t.Run(name, func(t *testing.T) { headOfAnArchivedFile(t, told) })
	}
}

func headOfAnArchivedFile(t *testing.T, told bool) {
	virtual(t, func(t *testing.T) {
		place, heads := inDir(t), seal.NewMemStore()
		j, err := journal.Open(journal.Config{Place: place})
		must(t, err)
		j.Event(event(1))
		last := j.Status().Head
		must(t, j.Rotate(t.Context()))
		must(t, j.Close())
		must(t, os.Remove(place.Path+".000000000002"))
		_, err = heads.Swap(t.Context(), []byte(last.String()), "")
		must(t, err)
		if told {
			place.After = last
		}
		j, err = journal.Open(journal.Config{Place: place, Heads: heads})
		must(t, err)
		stop := run(t, j)
		j.Event(event(2))
		synctest.Wait()
		s, kept := j.Status(), keptHead(t, heads)
		must(t, j.Close())
		stop()
		if !told {
			if !errors.Is(s.Missing, journal.ErrCut) || !errors.Is(s.Heads, journal.ErrCut) || kept != last || !strings.Contains(string(content(t, place)), `"kind":"journal-missing"`) {
				t.Errorf("status %+v", s)
			}
			return
		}
		if s.Missing != nil || s.Heads != nil || kept != s.Head {
			t.Errorf("status %+v", s)
		}
		if _, err := journal.Verify(t.Context(), place, j.Status().Head); err != nil {
			t.Error(err)
		}
	})
}

// The head of the line that a process ended with is kept as well, also where the store
// was out of reach until just before: that line could be cut off unseen otherwise. A
// store that hangs keeps Run no longer than two calls take.
func TestHeadOfTheEndIsKept(t *testing.T) {
	virtual(t, func(t *testing.T) {
		place, heads := inDir(t), &sometimes{Store: seal.NewMemStore()}
		end := func(j *journal.Journal) (took time.Duration) {
			ended := make(chan error)
			go func() { ended <- j.Run(t.Context()) }()
			j.Event(event(1))
			synctest.Wait()
			heads.set(nil)
			start := time.Now()
			must(t, j.Close())
			if err := <-ended; !errors.Is(err, journal.ErrClosed) {
				t.Errorf("run: %v", err)
			}
			return time.Since(start)
		}
		for _, err := range []error{nil, errors.New("out of reach"), nil} {
			heads.set(err)
			j, err := journal.Open(journal.Config{Place: place, Heads: heads})
			must(t, err)
			end(j)
			if s := j.Status(); keptHead(t, heads) != s.Head || s.Heads != nil {
				t.Errorf("kept %v, status %+v", keptHead(t, heads), s)
			}
		}
		d := newDeaf()
		j, err := journal.Open(journal.Config{Place: place, Heads: deafStore{d, heads}})
		must(t, err)
		if took := end(j); took > 20*time.Second || j.Status().Heads == nil {
			t.Errorf("it took %v, status %+v", took, j.Status())
		}
		close(d.released)
	})
}
