package keyring

import "github.com/sealwright/sealwright/internal/aead"

// The limits of a key, with their arithmetic in FORMAT.md.
const (
	// unit is the number of bytes that count as one message: a message costs
	// one unit, and one more for each 16 KiB, 2^10 blocks of AES.
	unit = 16 << 10

	// epochUnits bounds an epoch to 2^24 messages and 2^34 blocks.
	epochUnits = 1 << 24

	// termEpochs bounds what one process encrypts under one term to 2^40
	// messages.
	termEpochs = 1 << 16

	// lease is how many units a lane takes at a time.
	lease = epochUnits / (4 * lanes)
)

// limits are the above, which tests lower.
type limits struct {
	epochUnits, lease uint64
	termEpochs        int
	chunks            uint64 // of a stream
}

// An epoch is a key derived from a term's, for as many messages as random
// nonces are safe for. Its fields do not change, but for the count.
type epoch struct {
	gate  gate // first, for the alignment of its lanes
	head  header
	aead  *aead.AEAD
	term  *termKey
	limit limits
	free  uint64 // units that no lane has; guarded by Keyring.mu
}

// newEpoch begins an epoch of the term; one that is used up gets an epoch
// without units. Keyring.mu is held.
func (t *termKey) newEpoch(limit limits) *epoch {
	e := &epoch{term: t, limit: limit}
	if t.spent.epochs < limit.termEpochs {
		t.spent.epochs++
		e.free = limit.epochUnits
	}
	e.aead, e.head = t.seal(versionMessage, labelMessage, "")
	return e
}

// seal appends a message to dst, which has room for it. The header comes last,
// so that dst may overlap plaintext and associated data.
func (e *epoch) seal(dst, plaintext, aad []byte) []byte {
	out := e.aead.Seal(dst[:len(dst)+headerSize], plaintext, aad)
	*(*header)(out[len(dst):]) = e.head
	return out
}

func (e *epoch) wipe() { e.aead.Wipe() }

// enterEpoch counts a message and enters the gate of an epoch that has room for
// it. The caller adds units to left when it is done.
func (k *Keyring) enterEpoch(op string, units uint64) (e *epoch, l *lane, err error) {
	for {
		e = k.epoch.Load()
		if e == nil {
			return nil, nil, &Error{Op: op, Err: ErrSealed}
		}
		if units > e.limit.epochUnits {
			return nil, nil, &Error{Op: op, Term: e.term.number, Err: ErrLength}
		}
		if l, ok := k.stillCount(e, units); ok {
			return e, l, nil
		}
		if err := k.roll(e); err != nil {
			return nil, nil, &Error{Op: op, Term: e.term.number, Err: err}
		}
	}
}

// stillCount counts units and enters the gate of e, unless e is not the present
// epoch any more, or has not so many units left.
func (k *Keyring) stillCount(e *epoch, units uint64) (*lane, bool) {
	l := e.gate.lane()
	count, ok := k.enter(e, l, units)
	return l, ok || k.admit(e, l, units, count)
}

// enter counts units and enters the lane. It is ok if e is the present epoch still
// and the lane has units for that; if it is not, admit decides.
func (k *Keyring) enter(e *epoch, l *lane, units uint64) (count uint64, ok bool) {
	count = l.entered.Add(units)
	return count, k.epoch.Load() == e && count <= l.granted.Load()
}

// admit gets the lane more units for what has entered it, or has it leave.
func (k *Keyring) admit(e *epoch, l *lane, units, count uint64) bool {
	if k.epoch.Load() == e && k.grant(e, l, count) {
		return true
	}
	l.left.Add(units)
	return false
}

// grant lets the lane count up to count, if the epoch has units left.
func (k *Keyring) grant(e *epoch, l *lane, count uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	granted := l.granted.Load()
	if count <= granted {
		return true
	}
	if count-granted > e.free {
		return false
	}
	more := min(max(count-granted, e.limit.lease), e.free)
	e.free -= more
	l.granted.Store(granted + more)
	return true
}

// roll begins the next epoch of the active term, unless somebody else has. The
// caller has left the gate of e.
func (k *Keyring) roll(e *epoch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch.Load() != e {
		return nil
	}
	if e.term.spent.epochs >= e.limit.termEpochs {
		return ErrExhausted
	}
	k.epoch.Store(e.term.newEpoch(e.limit))
	k.bury(&e.gate, e)
	return nil
}
