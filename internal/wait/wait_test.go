package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/wait"
)

func TestFor(t *testing.T) {
	for name, tt := range map[string]struct {
		d, end time.Duration // of the wait, and of the context; 0 ends it before
		took   time.Duration
		err    error
	}{
		"its time":                  {time.Minute, time.Hour, time.Minute, nil},
		"no time":                   {0, time.Hour, 0, nil},
		"a time that is past":       {-time.Minute, time.Hour, 0, nil},
		"cut short":                 {time.Hour, time.Minute, time.Minute, context.DeadlineExceeded},
		"ended before":              {time.Hour, 0, 0, context.DeadlineExceeded},
		"no time, and ended before": {0, 0, 0, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.end)
				defer cancel()
				begun := time.Now()
				if err := wait.For(ctx, tt.d); !errors.Is(err, tt.err) || time.Since(begun) != tt.took {
					t.Errorf("%v after %v, want %v after %v", err, time.Since(begun), tt.err, tt.took)
				}
			})
		})
	}
}
