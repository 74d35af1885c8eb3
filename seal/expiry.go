package seal

import (
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/custody"
)

// expireShares wipes the shares that were given longer than [Config.ShareTTL]
// ago: a custodian who has left the room is no longer there to be asked, and
// whoever comes next should not find all but one share in memory. Everything
// that looks at the shares given so far calls it first.
func (b *Barrier) expireShares() {
	if b.cfg.ShareTTL < 0 {
		return
	}
	before := time.Now().Add(-b.cfg.ShareTTL)
	gone := map[OperationID]int{}
	b.mu.Lock()
	for id, q := range b.gathers {
		if n, _ := q.Expire(before); n > 0 {
			gone[id] = n
		}
	}
	if _, waits := errors.AsType[waiting](b.why); gone[""] > 0 && b.open == nil && waits && b.why != ErrSealedByOperator {
		b.setWhy(b.besides(waiting(fmt.Sprintf("waiting for people: the shares given more than %v ago are forgotten: give them again", b.cfg.ShareTTL))))
	}
	b.mu.Unlock()
	for id, n := range gone {
		b.emit(EventExpire, By{Operation: id}, "", fmt.Sprintf("%d shares that were given more than %v ago were wiped", n, b.cfg.ShareTTL), nil)
	}
}

// counted is the progress without what has expired since, and with when each set
// will; b.mu is held.
func (b *Barrier) counted(op OperationID, progress []SetProgress) (out []SetProgress) {
	q := b.gathers[op]
	for _, p := range progress {
		if q == nil {
			break
		}
		if p.Given = q.Count(p.Set); p.Given == 0 {
			continue
		}
		p.Expires = b.expires(q, p.Set)
		out = append(out, p)
	}
	return out
}

// expires is when the first of a set's shares will be wiped; zero where none is.
func (b *Barrier) expires(q *custody.Quorum, set uint32) time.Time {
	oldest := q.Oldest(set)
	if oldest.IsZero() || b.cfg.ShareTTL < 0 {
		return time.Time{}
	}
	return oldest.Add(b.cfg.ShareTTL)
}
