package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// A caller whose process dies after its record was stored, and before it
// learned it, finds the record when it starts again.
func ExampleFaulty() {
	ctx := context.Background()
	store := &storetest.Faulty{
		Inner:  seal.NewMemStore(),
		OnSwap: map[int]storetest.Fault{2: {Effect: storetest.CrashAfter}},
	}
	rev, _ := store.Swap(ctx, []byte("one"), "")
	_, err := store.Swap(ctx, []byte("two"), rev)
	fmt.Println(err)

	store.Reboot()
	rec, _, _ := store.Load(ctx)
	fmt.Printf("%s\n", rec)
	// Output:
	// storetest: the process crashed here
	// two
}

func TestFaultyEffects(t *testing.T) {
	tests := []struct {
		name  string
		fault storetest.Fault
		err   error
		dead  bool
		holds string // after the swap of "two" over "one"
	}{
		{"crash before", storetest.Fault{Effect: storetest.CrashBefore}, storetest.ErrCrashed, true, "one"},
		{"crash after", storetest.Fault{Effect: storetest.CrashAfter}, storetest.ErrCrashed, true, "two"},
		{"torn at 0", storetest.Fault{Effect: storetest.CrashTorn}, storetest.ErrCrashed, true, ""},
		{"torn at 2", storetest.Fault{Effect: storetest.CrashTorn, Bytes: 2}, storetest.ErrCrashed, true, "tw"},
		{"torn past the end", storetest.Fault{Effect: storetest.CrashTorn, Bytes: 9}, storetest.ErrCrashed, true, "two"},
		{"torn before the start", storetest.Fault{Effect: storetest.CrashTorn, Bytes: -1}, storetest.ErrCrashed, true, ""},
		{"fail before", storetest.Fault{Effect: storetest.FailBefore}, storetest.ErrInjected, false, "one"},
		{"fail after", storetest.Fault{Effect: storetest.FailAfter}, storetest.ErrInjected, false, "two"},
		{"conflict", storetest.Fault{Effect: storetest.Conflict}, seal.ErrConflict, false, "one"},
		{"none", storetest.Fault{}, nil, false, "two"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &storetest.Faulty{Inner: seal.NewMemStore(), OnSwap: map[int]storetest.Fault{2: test.fault}}
			rev, err := f.Swap(t.Context(), []byte("one"), "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Swap(t.Context(), []byte("two"), rev); !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("Swap: error %v, want %v", err, test.err)
			}
			if f.Crashed() != test.dead {
				t.Errorf("Crashed() = %v, want %v", f.Crashed(), test.dead)
			}
			if test.dead {
				for range 2 {
					if _, _, err := f.Load(t.Context()); !errors.Is(err, storetest.ErrCrashed) {
						t.Errorf("Load while dead: error %v, want ErrCrashed", err)
					}
					if _, err := f.Swap(t.Context(), nil, ""); !errors.Is(err, storetest.ErrCrashed) {
						t.Errorf("Swap while dead: error %v, want ErrCrashed", err)
					}
				}
				f.Reboot()
			}
			rec, rev, err := f.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if string(rec) != test.holds {
				t.Errorf("the store holds %q, want %q", rec, test.holds)
			}
			if _, err := f.Swap(t.Context(), []byte("three"), rev); err != nil {
				t.Errorf("Swap afterwards: %v", err)
			}
			loads, swaps := f.Calls()
			if diff := cmp.Diff([]int{1, 3}, []int{loads, swaps}); diff != "" {
				t.Errorf("calls of Load and Swap (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultyLoad(t *testing.T) {
	const crash, fail = "storetest: the process crashed here", "storetest: injected failure"
	tests := []struct {
		name   string
		effect storetest.Effect
		second string // the error of the second call
		third  string
	}{
		{"crash before", storetest.CrashBefore, crash, crash},
		{"crash after", storetest.CrashAfter, crash, crash},
		{"fail before", storetest.FailBefore, fail, seal.ErrNotFound.Error()},
		{"fail after", storetest.FailAfter, fail, seal.ErrNotFound.Error()},
		{"torn", storetest.CrashTorn, "storetest: effect 3 has no meaning for Load", seal.ErrNotFound.Error()},
		{"conflict", storetest.Conflict, "storetest: effect 6 has no meaning for Load", seal.ErrNotFound.Error()},
		{"unknown", 99, "storetest: effect 99 has no meaning for Load", seal.ErrNotFound.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &storetest.Faulty{Inner: seal.NewMemStore(), OnLoad: map[int]storetest.Fault{2: {Effect: test.effect}}}
			for i, want := range []string{seal.ErrNotFound.Error(), test.second, test.third} {
				if _, _, err := f.Load(t.Context()); err == nil || err.Error() != want {
					t.Errorf("Load %d: error %v, want %q", i+1, err, want)
				}
			}
			if dead := test.second == crash; f.Crashed() != dead {
				t.Errorf("Crashed() = %v, want %v", f.Crashed(), dead)
			}
		})
	}
	f := &storetest.Faulty{Inner: seal.NewMemStore(), OnSwap: map[int]storetest.Fault{1: {Effect: 99}}}
	if _, err := f.Swap(t.Context(), nil, ""); err == nil || err.Error() != "storetest: effect 99 has no meaning for Swap" {
		t.Errorf("Swap with an unknown effect: error %v", err)
	}
}

// A failure of the store itself is not hidden by an injected one.
func TestFaultyKeepsInnerError(t *testing.T) {
	for name, effect := range map[string]storetest.Effect{
		"crash after": storetest.CrashAfter, "torn": storetest.CrashTorn, "fail after": storetest.FailAfter,
	} {
		f := &storetest.Faulty{Inner: seal.NewMemStore(), OnSwap: map[int]storetest.Fault{1: {Effect: effect}}}
		if _, err := f.Swap(t.Context(), []byte("one"), "stale"); !errors.Is(err, seal.ErrConflict) {
			t.Errorf("%s: error %v, want seal.ErrConflict among it", name, err)
		}
	}
}

func TestFaultyOutage(t *testing.T) {
	f := &storetest.Faulty{Inner: seal.NewMemStore()}
	down := errors.New("no route to host")
	f.Outage(down)
	_, _, err := f.Load(t.Context())
	if !errors.Is(err, down) || err.Error() != "storetest: outage: no route to host" {
		t.Errorf("Load in an outage: error %v", err)
	}
	if _, err := f.Swap(t.Context(), nil, ""); !errors.Is(err, down) {
		t.Errorf("Swap in an outage: error %v", err)
	}
	f.Outage(nil)
	if _, _, err := f.Load(t.Context()); !errors.Is(err, seal.ErrNotFound) {
		t.Errorf("Load after the outage: error %v, want seal.ErrNotFound", err)
	}
}

func TestFaultyLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &storetest.Faulty{Inner: seal.NewMemStore(), Latency: time.Hour}
		start := time.Now()
		if _, err := f.Swap(t.Context(), []byte("one"), ""); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != 2*time.Hour {
			t.Errorf("two calls took %v, want 2h", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, _, err := f.Load(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Load with a deadline before the latency: error %v", err)
		}
		if loads, _ := f.Calls(); loads != 1 {
			t.Errorf("%d loads counted, want 1: the other never reached the store", loads)
		}
	})
}

func TestFaultyWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &storetest.Faulty{Inner: seal.NewMemStore()}
		changed, done := make(chan struct{}), make(chan error)
		go func() { done <- f.Watch(t.Context(), changed) }()
		<-changed // of its beginning
		if _, err := f.Swap(t.Context(), []byte("one"), ""); err != nil {
			t.Fatal(err)
		}
		<-changed
		f.Crash()
		if err := <-done; !errors.Is(err, storetest.ErrCrashed) {
			t.Errorf("Watch over a crash: error %v, want ErrCrashed", err)
		}
		f.Crash() // dying twice changes nothing
		if err := f.Watch(t.Context(), changed); !errors.Is(err, storetest.ErrCrashed) {
			t.Errorf("Watch while dead: error %v, want ErrCrashed", err)
		}
		f.Reboot()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- f.Watch(ctx, changed) }()
		<-changed
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch whose context was cancelled: error %v", err)
		}
	})
	blind := &storetest.Faulty{Inner: storetest.BlindPut(seal.NewMemStore())}
	err := blind.Watch(t.Context(), nil)
	if !errors.Is(err, errors.ErrUnsupported) || err.Error() != "storetest: watch storetest.blindPut: unsupported operation" {
		t.Errorf("Watch of a store that cannot: error %v", err)
	}
}

func TestBlindPut(t *testing.T) {
	inner := &storetest.Faulty{Inner: seal.NewMemStore()}
	blind := storetest.BlindPut(inner)
	for _, rec := range []string{"one", "two", "three"} {
		if _, err := blind.Swap(t.Context(), []byte(rec), "stale"); err != nil {
			t.Fatalf("Swap(%q): %v", rec, err)
		}
		if got, _, err := blind.Load(t.Context()); err != nil || string(got) != rec {
			t.Errorf("Load = %q, %v, want %q", got, err, rec)
		}
	}
	down := errors.New("no route to host")
	inner.Outage(down)
	if _, err := blind.Swap(t.Context(), nil, ""); !errors.Is(err, down) {
		t.Errorf("Swap in an outage: error %v", err)
	}
}
