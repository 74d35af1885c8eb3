// Package wait waits for a time, and no longer than a context lasts.
package wait

import (
	"context"
	"time"
)

// For returns nil after d, at once where d is not positive, and the context's
// error where that ends before, or had ended when For was called.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
