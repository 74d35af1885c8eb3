package kms

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sealwright/sealwright/internal/wait"
)

// A Policy says how [Policy.Do] repeats a call to a KMS. The zero Policy is
// sensible. The pauses are drawn evenly from zero to a bound that doubles
// ("full jitter"), so that a thousand replicas that failed together do not come
// back together.
type Policy struct {
	// Attempts is how often Do calls at most. 0 means 5; a negative number
	// means until the context ends.
	Attempts int
	// Timeout is the time each attempt has. 0 means 10 seconds.
	Timeout time.Duration
	// Pause is the bound of the first pause. 0 means 500 milliseconds.
	Pause time.Duration
	// MaxPause is where the bound stops doubling. 0 means 30 seconds.
	MaxPause time.Duration
	// Patience is the longest rest that Do grants a KMS that asks for one. At a
	// longer one it gives up at once: the error says how long ([Error.Rest]), and
	// whoever called remembers it, rather than have everything wait that waits
	// for this call. 0 means 2 seconds.
	Patience time.Duration
	// Spread is the bound of a pause before the first attempt, for calls that
	// many replicas make at the same moment. 0 means none.
	Spread time.Duration
}

// Do calls f until it succeeds, fails with an error that is not [Temporary], or
// the attempts or ctx are used up, or the KMS asks to be left alone for longer
// than the Policy has Patience. It waits at least [Error.RetryAfter] where that
// is shorter, but never past the end of ctx.
//
// The context of f carries the deadline of the attempt; f must return soon
// after it. When Do gives up, its error wraps the last one that the KMS itself
// gave, not only the end of the context, and that too if it ended. Do starts no
// goroutine, and does not call f when ctx has ended.
func (p Policy) Do(ctx context.Context, f func(ctx context.Context) error) error {
	p = p.withDefaults()
	pause, bound := jitter(p.Spread), p.Pause
	var last error // what the KMS itself said last
	for n := 0; ; n++ {
		if err := wait.For(ctx, pause); err != nil {
			return gaveUp(n, err, last)
		}
		err := p.attempt(ctx, f)
		if err == nil || !Temporary(err) && !ended(err) {
			return err
		}
		if last == nil || !ended(err) {
			last = err
		}
		rest := time.Duration(0)
		if e, ok := errors.AsType[*Error](err); ok {
			rest = e.Rest()
		}
		if n+1 == p.Attempts || ctx.Err() != nil || rest > p.Patience {
			return gaveUp(n+1, ctx.Err(), last)
		}
		// The jitter comes on top: whoever was told the same number would
		// otherwise be back at the same moment.
		pause = rest + jitter(bound)
		bound = min(2*bound, p.MaxPause)
	}
}

func (p Policy) withDefaults() Policy {
	if p.Attempts == 0 {
		p.Attempts = 5
	}
	if p.Timeout <= 0 {
		p.Timeout = 10 * time.Second
	}
	if p.Pause <= 0 {
		p.Pause = 500 * time.Millisecond
	}
	if p.Patience <= 0 {
		p.Patience = 2 * time.Second
	}
	if p.MaxPause <= 0 {
		p.MaxPause = 30 * time.Second
	}
	return p
}

func (p Policy) attempt(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	return f(ctx)
}

// ended reports whether err is the end of a context, the attempt's or the
// caller's, rather than an answer.
func ended(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func gaveUp(attempts int, end, last error) error {
	switch {
	case last == nil:
		return end
	case end == nil:
		return fmt.Errorf("kms: gave up at attempt %d: %w", attempts, last)
	default:
		return fmt.Errorf("kms: gave up at attempt %d: %w: %w", attempts, end, last)
	}
}

func jitter(bound time.Duration) time.Duration {
	if bound <= 0 {
		return 0
	}
	return rand.N(bound + 1)
}
