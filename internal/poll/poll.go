// Package poll watches by asking again and again, for stores that can't tell
// of a change themselves.
package poll

import (
	"context"
	"time"
)

// Watch asks for the state every interval and sends on changed when it is not
// what it was, until ctx is done; it returns ctx.Err(). It begins by sending
// once, since the state may have changed before the first question. Several
// changes that nobody has received yet are told as one, so that no receiver
// holds up the questions. An error of state says nothing about the state: the
// next question is asked as if that one had not been.
func Watch(ctx context.Context, interval time.Duration, state func(context.Context) (string, error), changed chan<- struct{}) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last, err := state(ctx)
	known := err == nil
	for out := changed; ; {
		select {
		case out <- struct{}{}:
			out = nil // nothing more to tell
		case <-ticker.C:
			now, err := state(ctx)
			if err != nil {
				continue
			}
			if !known || now != last {
				out = changed
			}
			last, known = now, true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
