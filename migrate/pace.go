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

// charge owes for items of so many bytes.
func (p *pace) charge(items, bytes int) {
	var cost float64 // seconds
	if p.items > 0 {
		cost = float64(items) / p.items
	}
	if p.bytes > 0 {
		cost = max(cost, float64(bytes)/p.bytes)
	}
	if cost == 0 {
		return
	}
	p.look()
	const longest = 24 * time.Hour // what follows cannot overflow
	p.owed += time.Duration(min(cost, longest.Seconds()) * float64(time.Second))
}

// look takes off what has passed. A late timer is made up for; an idle hour buys
// no burst.
func (p *pace) look() {
	now := time.Now()
	if !p.seen.IsZero() {
		p.owed = max(p.owed-now.Sub(p.seen), -enough)
	}
	p.seen = now
}

// pay waits until nothing is owed that is worth a timer.
func (p *pace) pay(ctx context.Context) error {
	if p.seen.IsZero() {
		return nil
	}
	p.look()
	if p.owed < enough {
		return nil
	}
	d, before := p.owed, p.seen
	if err := p.wait(ctx, d); err != nil {
		return err
	}
	// A wait of the host's own need not take the time.
	p.seen = time.Now()
	p.owed = max(d-max(d, p.seen.Sub(before)), -enough)
	return nil
}
