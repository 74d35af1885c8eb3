package seal

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// drills is what came of the slots when they were last tried, by a drill or to unseal.
// It tries nothing itself, and holds no key.
type drills struct {
	mu       sync.Mutex
	health   map[uint32]drilled // by slot id: of drills
	attempts map[string]drilled // by fingerprint: what KMS said, to unseal with
	renewed  map[uint32]string  // by slot id: the key versions for which Run renewed it
}

func newDrills() drills {
	return drills{health: map[uint32]drilled{}, attempts: map[string]drilled{}, renewed: map[uint32]string{}}
}

// A drilled is what came of the last drill of a slot.
type drilled struct {
	at    time.Time // zero where people are needed, so that nothing was tried
	err   error
	notes []custody.Note // what its keys' KMS say, worth a warning
	newer string         // the present versions of keys that have wrapped with older ones; "" for none

	wrapped []string // the versions that had wrapped the slot
}

// maxAttempts is of how many slots what came of them is kept: records that nobody
// vouches for yet name them.
const maxAttempts = 256

// drilled keeps what came of a drill.
func (d *drills) drilled(slot *record.Slot, came drilled) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.health[slot.ID] = came
	if !came.at.IsZero() {
		delete(d.attempts, string(slot.Fingerprint))
	}
}

// attempted keeps what a KMS said of a slot that it was to unseal with. Once
// people have unsealed, that is what Status shows of it until the next drill: it is
// why they were needed.
func (d *drills) attempted(ctx context.Context, slot *record.Slot, err error) {
	_, said := errors.AsType[*kms.Error](err)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		delete(d.attempts, string(slot.Fingerprint))
	case ctx.Err() != nil || !said: // cut short, or not believed: no news of the key
	case len(d.attempts) < maxAttempts:
		d.attempts[string(slot.Fingerprint)] = drilled{at: time.Now(), err: err}
	}
}

// last returns what came of a slot when it was tried last.
func (d *drills) last(slot *record.Slot) drilled {
	d.mu.Lock()
	defer d.mu.Unlock()
	came := d.health[slot.ID]
	if a := d.attempts[string(slot.Fingerprint)]; a.at.After(came.at) {
		came.at, came.err = a.at, a.err
	}
	return came
}

// ofDrill returns what came of a slot's last drill.
func (d *drills) ofDrill(slot uint32) drilled {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.health[slot]
}

// failed reports whether one of the slots failed to unseal, and was not drilled since.
func (d *drills) failed(slots []*record.Slot) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(slots, func(slot *record.Slot) bool {
		_, ok := d.attempts[string(slot.Fingerprint)]
		return ok
	})
}

// outdated returns what a slot's last drill said of newer versions of its keys, for
// which it was not renewed yet; newer is "" for none.
func (d *drills) outdated(slot uint32) (newer string, wrapped []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.health[slot]
	if h.newer == d.renewed[slot] {
		return "", nil
	}
	return h.newer, h.wrapped
}

// renewedFor remembers that a slot was renewed for those versions.
func (d *drills) renewedFor(slot uint32, newer string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.renewed[slot] = newer
}

// forgetVersions takes back what a drill said of what had wrapped a slot.
func (d *drills) forgetVersions(slot uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.health[slot]
	h.newer = ""
	h.notes = slices.DeleteFunc(slices.Clone(h.notes), func(n custody.Note) bool { return n.Newer || n.Moved })
	d.health[slot] = h
}
