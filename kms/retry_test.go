package kms_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
)

func unavailable(words string) error {
	return &kms.Error{Op: "unwrap", Type: "t", Kind: kms.ErrUnavailable, Err: errors.New(words)}
}

// record calls Do in a bubble with calls that end as scripted, the last entry
// over and over, and returns the pauses before each of them.
func record(t *testing.T, p kms.Policy, ctx context.Context, script ...error) (pauses []time.Duration, err error) {
	last := time.Now()
	err = p.Do(ctx, func(context.Context) error {
		pauses = append(pauses, time.Since(last))
		last = time.Now()
		return script[min(len(pauses), len(script))-1]
	})
	return pauses, err
}

func TestDo(t *testing.T) {
	denied := &kms.Error{Op: "unwrap", Type: "t", Kind: kms.ErrDenied}
	for name, test := range map[string]struct {
		policy kms.Policy
		script []error
		calls  int
		want   []error // what the error is; none for success
		words  string
	}{
		"at once":          {script: []error{nil}, calls: 1},
		"the third time":   {script: []error{unavailable("1"), unavailable("2"), nil}, calls: 3},
		"denied":           {script: []error{denied}, calls: 1, want: []error{kms.ErrDenied}, words: "kms: unwrap t: permission"},
		"denied later":     {script: []error{unavailable("1"), denied}, calls: 2, want: []error{kms.ErrDenied}},
		"no answer at all": {script: []error{unavailable("down")}, calls: 5, want: []error{kms.ErrUnavailable}, words: "gave up at attempt 5: kms: unwrap t: unavailable: try again later: down"},
		"one attempt":      {policy: kms.Policy{Attempts: 1}, script: []error{unavailable("down")}, calls: 1, want: []error{kms.ErrUnavailable}, words: "at attempt 1"},
		"not a kms.Error":  {script: []error{errors.New("odd")}, calls: 1, want: nil, words: "odd"},
		"many attempts":    {policy: kms.Policy{Attempts: -1}, script: repeat(unavailable("down"), 40, nil), calls: 41},
		// A Wrapper that forgets the taxonomy is no reason to give up.
		"a bare timeout":           {script: []error{context.DeadlineExceeded, nil}, calls: 2},
		"an answer, then timeouts": {script: []error{unavailable("503"), context.DeadlineExceeded}, calls: 5, want: []error{kms.ErrUnavailable}, words: "503"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pauses, err := record(t, test.policy, t.Context(), test.script...)
				if len(pauses) != test.calls {
					t.Errorf("%d calls, want %d", len(pauses), test.calls)
				}
				if test.words == "" && test.want == nil && err != nil {
					t.Errorf("Do: %v", err)
				}
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("Do: %v, want %v", err, want)
					}
				}
				if test.words != "" && !strings.Contains(err.Error(), test.words) {
					t.Errorf("Do: %v, want words %q", err, test.words)
				}
			})
		})
	}
}

func repeat(err error, n int, last error) []error {
	var errs []error
	for range n {
		errs = append(errs, err)
	}
	return append(errs, last)
}

// TestPauses draws many pauses, and looks whether they fill their bounds.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := kms.Policy{Attempts: 6, Pause: time.Second, MaxPause: 5 * time.Second, Spread: 3 * time.Second}
		bounds := []time.Duration{3 * time.Second, time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}
		low, high := make([]int, len(bounds)), make([]int, len(bounds))
		const rounds = 400
		for range rounds {
			pauses, _ := record(t, p, t.Context(), unavailable("down"))
			for i, pause := range pauses {
				switch {
				case pause > bounds[i]:
					t.Fatalf("pause %d is %v, want at most %v", i, pause, bounds[i])
				case pause < bounds[i]/4:
					low[i]++
				case pause > bounds[i]*3/4:
					high[i]++
				}
			}
		}
		for i := range bounds { // a quarter each; 10 standard deviations are 87
			if low[i] < 13 || high[i] < 13 {
				t.Errorf("of %d pauses %d, %d are short and %d long: the jitter is not full", rounds, i, low[i], high[i])
			}
		}
	})
}

func TestZeroPolicyStartsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pauses, err := record(t, kms.Policy{}, t.Context(), nil)
		if err != nil || pauses[0] != 0 {
			t.Errorf("the first call came after %v: %v", pauses, err)
		}
	})
}

// TestRetryAfter: a short rest is granted, a long one ends the call at once, and
// the error says for how long.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := func(after time.Duration) error {
			return &kms.Error{Op: "unwrap", Type: "t", Kind: kms.ErrThrottled, RetryAfter: after}
		}
		p := kms.Policy{Pause: time.Second, MaxPause: time.Second, Patience: time.Minute}
		pauses, err := record(t, p, t.Context(), throttled(time.Minute), throttled(-time.Hour), nil)
		if err != nil || len(pauses) != 3 {
			t.Fatalf("%d calls: %v", len(pauses), err)
		}
		if d := pauses[1]; d < time.Minute || d > time.Minute+time.Second {
			t.Errorf("waited %v, want a minute, and the jitter on top", d)
		}
		if d := pauses[2]; d > time.Second {
			t.Errorf("waited %v for a negative Retry-After", d)
		}
		for name, test := range map[string]struct {
			policy kms.Policy
			after  time.Duration
			rest   time.Duration
		}{
			"an hour":               {kms.Policy{}, time.Hour, time.Hour},
			"a little too long":     {kms.Policy{}, 2*time.Second + 1, 2*time.Second + 1},
			"centuries":             {kms.Policy{Attempts: -1}, math.MaxInt64, 24 * time.Hour},
			"more than is granted":  {p, time.Minute + 1, time.Minute + 1},
			"a negative Patience":   {kms.Policy{Patience: -1}, time.Hour, time.Hour},
			"in the middle of many": {kms.Policy{Attempts: 100}, time.Hour, time.Hour},
		} {
			start := time.Now()
			pauses, err := record(t, test.policy, t.Context(), throttled(test.after))
			if len(pauses) != 1 || time.Since(start) != 0 {
				t.Errorf("%s: %d calls in %v, want one and no wait", name, len(pauses), time.Since(start))
			}
			e, ok := errors.AsType[*kms.Error](err)
			if !ok || e.Rest() != test.rest || !errors.Is(err, kms.ErrThrottled) {
				t.Errorf("%s: %v", name, err)
			}
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		p.Patience = time.Hour
		pauses, err = record(t, p, ctx, throttled(time.Hour))
		if len(pauses) != 1 || time.Since(start) != time.Minute {
			t.Errorf("%d calls in %v, want one and the end of the context", len(pauses), time.Since(start))
		}
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, kms.ErrThrottled) {
			t.Errorf("Do: %v, want both ends", err)
		}
		if want := "kms: gave up at attempt 1: context deadline exceeded: kms: unwrap t: throttled"; !strings.Contains(err.Error(), want) {
			t.Errorf("Do: %v, want %q", err, want)
		}
	})
}

// TestEachAttemptHasADeadline hangs in every call.
func TestEachAttemptHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct{ set, want time.Duration }{{0, 10 * time.Second}, {time.Second, time.Second}, {-1, 10 * time.Second}} {
			calls := 0
			err := kms.Policy{Attempts: 3, Timeout: test.set}.Do(t.Context(), func(ctx context.Context) error {
				calls++
				start := time.Now()
				<-ctx.Done()
				if d := time.Since(start); d != test.want {
					t.Errorf("Timeout %v: an attempt had %v, want %v", test.set, d, test.want)
				}
				return &kms.Error{Op: "unwrap", Type: "t", Kind: kms.ErrUnavailable, Err: ctx.Err()}
			})
			if calls != 3 || !errors.Is(err, kms.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d calls: %v", calls, err)
			}
		}
	})
}

// TestKeepsTheAnswer lets the KMS answer once and then hang past the end of the
// caller's context: the answer must not be lost, as it is in Google's client.
func TestKeepsTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		calls := 0
		err := kms.Policy{Attempts: -1}.Do(ctx, func(ctx context.Context) error {
			if calls++; calls == 1 {
				return unavailable("backend is restarting")
			}
			<-ctx.Done()
			return &kms.Error{Op: "unwrap", Type: "t", Kind: kms.ErrUnavailable, Err: ctx.Err()}
		})
		if calls < 2 || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "backend is restarting") {
			t.Errorf("%d calls: %v, want the KMS's words and the end of the context", calls, err)
		}
	})
}

func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, p := range []kms.Policy{{}, {Spread: time.Hour}} {
			err := p.Do(ctx, func(context.Context) error {
				t.Error("called with a context that has ended")
				return nil
			})
			if err != context.Canceled {
				t.Errorf("Do: %v, want the context's error", err)
			}
		}

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		start := time.Now()
		err := kms.Policy{Spread: 1000 * time.Hour}.Do(ctx, func(context.Context) error { return nil })
		if err != context.Canceled || time.Since(start) != time.Minute {
			t.Errorf("Do ended after %v: %v", time.Since(start), err)
		}
	})
}
