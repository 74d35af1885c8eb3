package seal

import (
	"context"
	"errors"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// maxAttempts is of how many slots what came of them is kept: records that nobody
// vouches for yet name them.
const maxAttempts = 256

// attempted keeps what a KMS said of a slot that it was to unseal with. Once
// people have unsealed, that is what Status shows of it until the next drill: it is
// why they were needed.
func (b *Barrier) attempted(ctx context.Context, slot *record.Slot, err error) {
	_, said := errors.AsType[*kms.Error](err)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		delete(b.attempts, string(slot.Fingerprint))
	case ctx.Err() != nil || !said: // cut short, or not believed: no news of the key
	case len(b.attempts) < maxAttempts:
		b.attempts[string(slot.Fingerprint)] = drilled{at: time.Now(), err: err}
	}
}

// tried returns what came of a slot when it was tried last, by a drill or to
// unseal; b.mu is held.
func (b *Barrier) tried(slot *record.Slot) drilled {
	d := b.health[slot.ID]
	if a := b.attempts[string(slot.Fingerprint)]; a.at.After(d.at) {
		d.at, d.err = a.at, a.err
	}
	return d
}

// doubts reports whether a slot failed to unseal, and was not drilled since: it is
// drilled soon, so that a KMS that was away for a minute is not called so for hours.
func (b *Barrier) doubts() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil || b.cfg.Drill < 0 {
		return false
	}
	for _, slot := range machines(&b.open().State.Record) {
		if _, ok := b.attempts[string(slot.Fingerprint)]; ok {
			return true
		}
	}
	return false
}

// lost reports whether a slot's key cannot be had, or is another: what its KMS
// says of the slot's blob then is no answer to whether that proves who made it.
func lost(err error) bool { return errors.Is(err, kms.ErrKeyGone) || errors.Is(err, kms.ErrWrongKey) }
