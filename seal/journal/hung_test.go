package journal_test

import (
	"context"
	"crypto/fips140"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// virtual runs f in virtual time.
func virtual(t *testing.T, f func(*testing.T)) {
	if fips140.Enabled() {
		t.Skip("needs virtual time, in which crypto/rand finds no entropy in FIPS mode before Go 1.27")
	}
	synctest.Test(t, f)
}

// told is what OnFailure was told.
type told struct {
	mu   sync.Mutex
	errs []error
}

func (t *told) tell(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errs = append(t.errs, err)
}

func (t *told) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errText(errors.Join(t.errs...))
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A disk that hangs holds an unseal up once, for as long as Wait, and never again;
// what happened meanwhile is written when it answers, and what could not be kept
// is counted.
func TestHungDisk(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		place, released := inDir(t), make(chan struct{})
		var hung fault
		gate := journal.Gate{File: place, Before: func() error {
			if hung.ask() != nil {
				<-released
			}
			return nil
		}}
		var failures told
		j, err := journal.Open(journal.Config{Place: gate, Name: "a", Keep: 20, OnFailure: failures.tell})
		must(t, err)
		b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), Replica: "a", OnEvent: j.Event, KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("prod")}})
		must(t, err)
		_, err = b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{})
		must(t, err)
		must(t, b.Seal(seal.By{}))
		must(t, j.Flush(ctx))
		done := make(chan error)
		go func() { done <- j.Run(ctx) }()

		hung.set(errFull)
		longest, total := time.Duration(0), time.Duration(0)
		for range 20 {
			start := time.Now()
			must(t, b.Unseal(ctx))
			took := time.Since(start)
			longest, total = max(longest, took), total+took
			must(t, b.Seal(seal.By{}))
		}
		if longest > 2*time.Second || total > 2*time.Second {
			t.Errorf("unsealing took %v at most, and %v in all", longest, total)
		}
		synctest.Wait()
		if got := failures.String(); !strings.HasPrefix(got, journal.ErrLate.Error()) || !strings.Contains(got, "20 events wait to be written, and what is more is lost") {
			t.Errorf("the host was told %q", got)
		}
		s := j.Status()
		if !errors.Is(s.Err, journal.ErrLate) || s.Waiting != 21 || s.Lost == 0 || s.Since.IsZero() {
			t.Errorf("status %+v", s)
		}
		hung.set(nil)
		close(released)
		must(t, j.Flush(ctx))
		if s := j.Status(); s.Err != nil || s.Waiting != 0 {
			t.Errorf("status %+v", s)
		}
		must(t, b.Unseal(ctx))
		b.Close()
		must(t, j.Close())
		stop()
		<-done
		result, err := journal.Verify(t.Context(), place, j.Status().Head)
		if err != nil || result.Lost != s.Lost {
			t.Errorf("result %+v, %v, want %d lost", result, err, s.Lost)
		}
		t.Logf("GUARANTEE 25 journal-on-a-hung-disk: unseals=20 held_up=%v lost_uncounted=%d", total, s.Lost-result.Lost)
	})
}

// A disk that hangs and never answers keeps one goroutine, and neither Event, nor
// Status, nor Close.
func TestNeverAnswers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		released := make(chan struct{})
		j, err := journal.Open(journal.Config{Place: journal.Gate{File: inDir(t), Before: func() error { <-released; return nil }}})
		must(t, err)
		start := time.Now()
		for n := range 3000 {
			j.Event(event(n))
		}
		if err := j.Close(); !errors.Is(err, journal.ErrLate) {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
		close(released)
		synctest.Wait()
	})
}

// What failed is tried again by Run, at first soon, and the host is told once.
func TestRunTriesAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var failures told
		var disk fault
		disk.set(errFull)
		gate := journal.Gate{File: inDir(t), Before: disk.ask}
		j, err := journal.Open(journal.Config{Place: gate, OnFailure: func(err error) { failures.tell(err); panic("the host's") }})
		must(t, err)
		done := make(chan error)
		go func() { done <- j.Run(ctx) }()
		j.Event(event(1))
		time.Sleep(10 * time.Minute)
		if s, tries := j.Status(), disk.asked(); tries < 20 || tries > 40 || !errors.Is(s.Err, errFull) || s.Waiting != 1 {
			t.Errorf("%d tries, status %+v", tries, s)
		}
		if got := failures.String(); !strings.Contains(got, errFull.Error()) || strings.Contains(got, "\n") {
			t.Errorf("the host was told %q", got)
		}
		disk.set(nil)
		time.Sleep(time.Minute)
		if s := j.Status(); s.Err != nil || s.Waiting != 0 || s.Head.Seq != 2 {
			t.Errorf("status %+v", s)
		}
		must(t, j.Close())
		if err := <-done; !errors.Is(err, journal.ErrClosed) {
			t.Errorf("run: %v", err)
		}
		stop()
	})
}

// A slow disk that many events wait for is not late as long as it writes.
func TestSlowDisk(t *testing.T) {
	virtual(t, func(t *testing.T) {
		place := inDir(t)
		j, err := journal.Open(journal.Config{Place: journal.Gate{File: place, Before: func() error { time.Sleep(time.Second); return nil }}})
		must(t, err)
		var wg sync.WaitGroup
		for n := range 500 {
			wg.Go(func() { j.Event(event(n)) })
		}
		wg.Wait()
		if s := j.Status(); s.Err != nil {
			t.Errorf("status %+v", s)
		}
		must(t, j.Flush(t.Context()))
		j.Close()
		if r, err := journal.Verify(t.Context(), place); err != nil || r.Lines < 501 || r.Lost != 0 {
			t.Errorf("result %+v, %v", r, err)
		}
	})
}
