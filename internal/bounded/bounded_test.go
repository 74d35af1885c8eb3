package bounded_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
)

var errOwn = errors.New("its own words")

// TestCall has everything that a provider's call may do, and when the caller is
// back: at once, or a second after the end of its time.
func TestCall(t *testing.T) {
	const limit = 10 * time.Second
	for name, tt := range map[string]struct {
		call  func(context.Context) (string, error)
		value string
		is    error
		not   error
		took  time.Duration
	}{
		"answers":        {call: func(context.Context) (string, error) { return "yes", nil }, value: "yes"},
		"answers late":   {call: func(context.Context) (string, error) { time.Sleep(9 * time.Second); return "yes", nil }, value: "yes", took: 9 * time.Second},
		"fails":          {call: func(context.Context) (string, error) { return "", errOwn }, is: errOwn},
		"keeps its time": {call: func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }, is: context.DeadlineExceeded, not: bounded.ErrNoAnswer, took: limit},
		"says why after its time": {call: func(ctx context.Context) (string, error) {
			<-ctx.Done()
			time.Sleep(time.Second / 2)
			return "", errOwn
		}, is: errOwn, not: bounded.ErrNoAnswer, took: limit + time.Second/2},
		"answers after its time": {call: func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "yes", nil
		}, value: "yes", took: limit},
		"hangs":                {call: func(context.Context) (string, error) { time.Sleep(time.Hour); return "yes", nil }, is: bounded.ErrNoAnswer, took: limit + time.Second},
		"panics":               {call: func(context.Context) (string, error) { panic("key=hunter2") }, is: bounded.ErrPanic},
		"panics with an error": {call: func(context.Context) (string, error) { panic(errOwn) }, is: bounded.ErrPanic, not: errOwn},
		"panics late": {call: func(context.Context) (string, error) {
			time.Sleep(time.Second)
			var none []int
			_ = none[len(none)]
			return "", nil
		}, is: bounded.ErrPanic, took: time.Second},
		"ends its goroutine": {call: func(context.Context) (string, error) { runtime.Goexit(); return "yes", nil }, is: bounded.ErrNoAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				value, err := bounded.Call(ctx, tt.call, nil)
				if value != tt.value || !errors.Is(err, tt.is) || tt.not != nil && errors.Is(err, tt.not) {
					t.Errorf("%q, %v", value, err)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("back after %v, want %v", took, tt.took)
				}
				if err != nil && strings.Contains(err.Error(), "hunter2") {
					t.Errorf("it tells what panicked: %v", err)
				}
				time.Sleep(2 * time.Hour) // a goroutine that stays would deadlock the bubble
			})
		})
	}
}

// TestCallOfACancelledContext: it is called all the same, and has a second to
// say something.
func TestCallOfACancelledContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errOwn)
		start := time.Now()
		if _, err := bounded.Call(ctx, func(context.Context) (int, error) { time.Sleep(time.Minute); return 1, nil }, nil); !errors.Is(err, bounded.ErrNoAnswer) || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("back after %v", took)
		}
		time.Sleep(time.Hour)
	})
}

// TestGuard: what runs in its caller's goroutine does not end it.
func TestGuard(t *testing.T) {
	for name, tt := range map[string]struct {
		f    func() error
		is   error
		text string
	}{
		"answers":    {func() error { return nil }, nil, ""},
		"fails":      {func() error { return errOwn }, errOwn, "its own words"},
		"in colours": {func() error { return fmt.Errorf("\x1b[31m%w\n", errOwn) }, errOwn, "[31mits own words"},
		"panics":     {func() error { panic("key=hunter2") }, bounded.ErrPanic, "it panicked: a string"},
	} {
		err := bounded.Guard(tt.f)
		if !errors.Is(err, tt.is) || err != nil && err.Error() != tt.text {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatComesLateIsHandedOver: a key that a KMS yields after it was given up on
// stayed in memory.
func TestWhatComesLateIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late := make(chan int, 2)
		take := func(v int) { late <- v }
		if _, err := bounded.Call(ctx, func(context.Context) (int, error) { time.Sleep(time.Hour); return 7, nil }, take); !errors.Is(err, bounded.ErrNoAnswer) || len(late) != 0 {
			t.Errorf("%v, %d", err, len(late))
		}
		time.Sleep(2 * time.Hour)
		if n := len(late); n != 1 || <-late != 7 {
			t.Errorf("%d handed over, or another", n)
		}
		if v, err := bounded.Call(t.Context(), func(context.Context) (int, error) { return 8, nil }, take); v != 8 || err != nil || len(late) != 0 {
			t.Errorf("in time: %d, %v, %d", v, err, len(late))
		}
	})
}
