package seal

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/sealwright/sealwright/internal/roster"
)

// A process is in the roster as a run: from the first entry, by which it takes the
// place of the run before, to the last one, by which it leaves.

// comeAfter has this process come after the run that it finds in its place when it
// begins. Where another one says that it came after this one, or makes entries in its
// name, two processes have one replica's name: this one goes on as a new run, which
// names none, so that others listen to both. What nobody vouches for does no harm
// here. B.mu is held.
func (b *Barrier) comeAfter(mine *roster.Entry) {
	r := &b.roster
	switch {
	case mine == nil:
	case r.beat == 0:
		r.after = bytes.Clone(mine.Run)
	case bytes.Equal(mine.After, r.run), bytes.Equal(mine.Run, r.run) && mine.Beat > r.beat:
		b.renew()
		r.twice = time.Now()
	}
}

// ownRuns is how many of its own runs a process knows again.
const ownRuns = 64

// renew has this process go on as a new run; b.mu is held.
func (b *Barrier) renew() {
	r := &b.roster
	if r.before = append(r.before, r.run); len(r.before) > ownRuns {
		r.before = r.before[1:]
	}
	r.run, r.after, r.beat, r.toldAt = newRun(), nil, 0, time.Time{}
}

// farewell returns what this process says of itself last, as it seals, if it has said
// something; b.mu is held. What it says later is of a new run.
func (b *Barrier) farewell() *roster.Signed {
	if b.open == nil || b.cfg.Roster == nil || b.roster.beat == 0 || b.roster.trouble != nil {
		return nil
	}
	defer clean()()
	o, err := b.open().Reopen()
	if err != nil {
		return nil
	}
	defer o.Wipe()
	e := b.entry(&o.State)
	e.Left = true
	s := roster.New(o.State.Store).Sign(e, dataKeys(o))
	b.renew()
	return s
}

// rosterLeave is for how long a process that has sealed itself tells the others, who
// wait for it for MemberTTL otherwise.
const rosterLeave = 2 * time.Second

// leave has the roster say that this process has sealed itself, by its last entry.
// Only one with a tag counts: anybody could take an entry away.
func (b *Barrier) leave(s *roster.Signed) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(rosterLeave, b.cfg.StoreTimeout))
	defer cancel()
	err := ErrConflict
	for i := 0; i < rosterAttempts && errors.Is(err, ErrConflict); i++ {
		err = b.leaveOnce(ctx, s)
	}
}

func (b *Barrier) leaveOnce(ctx context.Context, s *roster.Signed) error {
	r, rev, err := b.readRoster(ctx, s.Store)
	if err != nil {
		return err
	}
	text := r.Left(s, rosterLimit(b.cfg.Roster))
	if text == nil {
		return nil
	}
	return b.swapRoster(ctx, text, rev)
}
