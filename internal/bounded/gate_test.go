package bounded_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
)

// A hanging call is counted, and ends when it is told to.
type hanging struct {
	calls atomic.Int64
	end   chan struct{}
}

func (h *hanging) call(context.Context) (string, error) {
	h.calls.Add(1)
	<-h.end
	return "late", nil
}

func answers(context.Context) (string, error) { return "yes", nil }

// within calls f with a time.
func within(t *testing.T, d time.Duration, f func(context.Context) (string, error)) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return f(ctx)
}

// TestGate: what hangs is called once, whoever waits for it is told so in time, and
// when it is back it is called again.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, g := hanging{end: make(chan struct{})}, bounded.NewGate()
		through := func(f func(context.Context) (string, error)) (string, error) {
			return within(t, time.Second, func(ctx context.Context) (string, error) { return bounded.Through(ctx, g, f) })
		}
		if _, err := through(h.call); !errors.Is(err, bounded.ErrNoAnswer) {
			t.Error(err)
		}
		for range 10 {
			begun := time.Now()
			if _, err := through(h.call); !errors.Is(err, bounded.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
		}
		if n := h.calls.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
		close(h.end)
		synctest.Wait()
		if v, err := through(answers); v != "yes" || err != nil {
			t.Error(v, err)
		}
	})
}

// TestHung: so many calls of a name hang, and so many in all, and no more; each that
// comes back, or panics, or ends its goroutine, makes room. What answers is not
// counted.
func TestHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each, all = 2, 5
		h, hung := hanging{end: make(chan struct{})}, &bounded.Hung{}
		var late atomic.Int64
		call := func(name string, f func(context.Context) (string, error)) error {
			_, err := within(t, time.Second, func(ctx context.Context) (string, error) {
				return bounded.Unless(ctx, hung, name, each, all, f, func(string) { late.Add(1) })
			})
			return err
		}
		for range 10 {
			for _, name := range []string{"a", "b", "c"} {
				if err := call(name, h.call); !errors.Is(err, bounded.ErrNoAnswer) && !errors.Is(err, bounded.ErrBusy) {
					t.Error(err)
				}
			}
		}
		if n := h.calls.Load(); n != all {
			t.Errorf("%d calls hang", n)
		}
		begun := time.Now()
		if err := call("d", answers); !errors.Is(err, bounded.ErrBusy) || time.Since(begun) != 0 {
			t.Errorf("one more in all: %v after %v", err, time.Since(begun))
		}
		close(h.end)
		synctest.Wait()
		if n := late.Load(); n != all {
			t.Errorf("%d late answers", n)
		}
		for range 10 {
			if err := call("a", answers); err != nil {
				t.Error(err)
			}
			if err := call("a", func(context.Context) (string, error) { panic("x") }); !errors.Is(err, bounded.ErrPanic) {
				t.Error(err)
			}
			if err := call("a", func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
	})
}
