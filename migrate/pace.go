package migrate

import (
	"context"
	"time"
)

// A pace spreads work over time. It owes time for what was done, and waits
// when it owes enough for a timer to be worth it.
type pace struct {
	items, bytes float64 // per second; 0 is no limit
	wait         func(context.Context, time.Duration) error

	owed time.Duration
	seen time.Time
}

// enough is well above what timers are late by, so that the rate is met.
const enough = 20 * time.Millisecond

// spend charges one item of n bytes, and waits if it must.
func (p *pace) spend(ctx context.Context, n int) error {
	var cost float64 // seconds
	if p.items > 0 {
		cost = 1 / p.items
	}
	if p.bytes > 0 {
		cost = max(cost, float64(n)/p.bytes)
	}
	if cost == 0 {
		return nil
	}
	now := time.Now()
	if p.seen.IsZero() {
		p.seen = now
	}
	// A late timer is made up for; an idle hour buys no burst.
	p.owed = max(p.owed-now.Sub(p.seen), -enough)
	p.seen = now
	const longest = 24 * time.Hour // what follows cannot overflow
	p.owed += time.Duration(min(cost, longest.Seconds()) * float64(time.Second))
	if p.owed < enough {
		return nil
	}
	d := p.owed
	if err := p.wait(ctx, d); err != nil {
		return err
	}
	p.seen = time.Now()
	p.owed = max(d-max(d, p.seen.Sub(now)), -enough)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
