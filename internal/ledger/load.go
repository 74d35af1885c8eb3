package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
)

// Load reads the record, and refuses one that is older than what this process
// or its anchor has seen, or another store's. It returns ErrUninitialized only
// where the store was reached, holds none, and nothing says that it should.
func (l *Ledger) Load(ctx context.Context) (*Stored, error) {
	if err := l.recall(ctx); err != nil {
		return nil, err
	}
	seen := l.Newest() // before the store is asked: another call may move on meanwhile
	s, err := l.LoadAny(ctx)
	switch {
	case errors.Is(err, ErrNotFound):
		if seen.Generation > 0 {
			return nil, fmt.Errorf("%w: generation %d of it was seen: restore it", ErrMissing, seen.Generation)
		}
		if l.cfg.Pinned {
			return nil, fmt.Errorf("%w: the configuration pins a record and the store is empty: is the right volume mounted? To begin anew, remove the pins", ErrMissing)
		}
		return nil, ErrUninitialized
	case err != nil:
		return nil, err
	}
	switch {
	case seen.Generation == 0 || s.Digest == seen.Digest:
	case s.Store != seen.Store:
		return nil, fmt.Errorf("%w: store %s, where %s was before", ErrOtherStore, s.Store, seen.Store)
	case s.Generation < seen.Generation:
		return nil, fmt.Errorf("%w: the record is of generation %d, and generation %d was seen", ErrRolledBack, s.Generation, seen.Generation)
	case s.Generation == seen.Generation:
		return nil, fmt.Errorf("%w: another record of generation %d", ErrForked, s.Generation)
	}
	return s, nil
}

// A peek is a load for everybody who asks while it goes on.
type peek struct {
	done chan struct{} // closed when what follows is there
	s    *Stored
	err  error
}

// Peek is Load for whoever only looks: those who ask while one goes on share it,
// so that a store that hangs, or a crowd of strangers, costs one call.
func (l *Ledger) Peek(ctx context.Context) (*Stored, error) {
	l.mu.Lock()
	p := l.peeked
	if p == nil {
		p = &peek{done: make(chan struct{})}
		l.peeked = p
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Timeout)
			defer cancel()
			p.s, p.err = l.Load(ctx)
			l.mu.Lock()
			l.peeked = nil
			l.mu.Unlock()
			close(p.done)
		}()
	}
	l.mu.Unlock()
	select {
	case <-p.done:
		return p.s, p.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: it has not answered so far: %w", ErrUnavailable, ctx.Err())
	}
}

// LoadAny reads the record whatever this process has seen before. It returns
// ErrNotFound where the store was reached and holds none.
func (l *Ledger) LoadAny(ctx context.Context) (*Stored, error) {
	stored, rev, err := l.loadFrom(ctx, l.cfg.Store, l.loads)
	if err != nil {
		return nil, storeError(err)
	}
	s, err := l.parse(stored)
	if err != nil {
		return nil, err
	}
	s.Rev = rev
	return s, nil
}

// storeError tells a store that cannot be read now from one that holds nothing,
// or what nobody should read.
func storeError(err error) error {
	for _, known := range []error{ErrNotFound, ErrCorrupt, ErrNewerFormat, ErrExposed} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// parse reads a stored record, or remembers it: most loads find the record of
// the load before.
func (l *Ledger) parse(stored []byte) (*Stored, error) {
	if len(stored) <= MaxRecordSize {
		digest := record.DigestOf(stored)
		l.mu.Lock()
		last := l.parsed
		l.mu.Unlock()
		if last != nil && last.Digest == digest {
			s := *last
			return &s, nil
		}
	}
	s, err := Parse(stored)
	switch {
	case errors.Is(err, ErrNewerFormat), errors.Is(err, ErrCorrupt):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w: restore it from a backup", ErrCorrupt, err)
	}
	kept := *s
	l.mu.Lock()
	l.parsed = &kept
	l.mu.Unlock()
	return s, nil
}

// Unlock opens a record that descends from the one this process knew. It returns
// ErrConflict where a later one was seen since it was loaded.
func (l *Ledger) Unlock(s *Stored, root []byte) (*Opened, error) {
	return l.unlock(s, root, false)
}

// UnlockOwn is Unlock with a root key that this process has in use. Nobody who
// was locked out has that, so a record that opens with it is believed also where
// the data key used last was retired in it.
func (l *Ledger) UnlockOwn(s *Stored, root []byte) (*Opened, error) {
	return l.unlock(s, root, true)
}

func (l *Ledger) unlock(s *Stored, root []byte, own bool) (*Opened, error) {
	o, err := s.Open(root)
	if err != nil {
		return nil, err
	}
	seen := l.Newest()
	if s.Store == seen.Store && s.Generation < seen.Generation {
		o.Wipe()
		return nil, ErrConflict
	}
	if o.Missed, err = checkLineage(seen, &o.State, s.Digest, own); err != nil {
		o.Wipe()
		return nil, err
	}
	return o, nil
}

// Descends checks once more that an Unlocked record comes after what this process
// knows: that may have moved on while the caller waited for its turn.
func (l *Ledger) Descends(o *Opened) error {
	_, err := checkLineage(l.Newest(), &o.State, o.Digest, false)
	return err
}

// checkLineage checks that a record now authenticated is the one this process knew
// or comes after it. It says so where too many changes were missed to tell.
func checkLineage(seen Mark, s *record.State, digest record.Digest, own bool) (missed string, err error) {
	if seen.Generation == 0 || digest == seen.Digest {
		return "", nil
	}
	if !own && seen.term != [32]byte{} && s.FindTerm(func(t *record.Term) bool { return termDigest(t) == seen.term }) < 0 {
		// Whoever once read a sealed part knows the identities of all its
		// slots, and digests are public; the data key in use is neither.
		return "", fmt.Errorf("%w: generation %d does not hold the data key that this process used last: if that term was retired in the meantime, restart the process, and take away its anchor before, if it has one", ErrForked, s.Generation)
	}
	switch after, sure := s.After(seen.Generation, seen.Digest); {
	case !after:
		return "", fmt.Errorf("%w: generation %d does not descend from the generation %d this process knew", ErrForked, s.Generation, seen.Generation)
	case !sure:
		return fmt.Sprintf("%d changes were missed, and the record tells of %d", s.Generation-seen.Generation, len(s.Digests)), nil
	}
	return "", nil
}

// Follow opens a record whose root key is that of a change that this process
// sent itself and never learnt the outcome of. It returns aead.ErrWrongKey where
// it is none's.
func (l *Ledger) Follow(s *Stored) (*Opened, error) {
	roots, mine := l.unresolvedRoots(s.Digest)
	defer func() {
		for _, root := range roots {
			clear(root)
		}
	}()
	for _, root := range roots {
		o, err := (*Opened)(nil), error(nil)
		if mine {
			o, err = s.Open(root) // of a restore, which does not descend from what was here
		} else {
			o, err = l.UnlockOwn(s, root)
		}
		if err == nil {
			return o, nil
		}
	}
	return nil, aead.ErrWrongKey
}

// OpenAny opens a record of another branch with root, or with that of a change
// this process sent.
func (l *Ledger) OpenAny(s *Stored, root []byte) (*Opened, error) {
	o, err := s.Open(root)
	roots, _ := l.unresolvedRoots(s.Digest)
	for _, root := range roots {
		if errors.Is(err, aead.ErrWrongKey) {
			o, err = s.Open(root)
		}
		clear(root)
	}
	return o, err
}
