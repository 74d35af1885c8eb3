package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/internal/record"
)

// An anchor is what the anchor's store keeps: which record is the newest that
// was seen, by a process that has ended since. FORMAT.md has its bytes.
type anchor struct {
	Version    int             `json:"anchor"`
	Store      string          `json:"store"`
	Generation uint64          `json:"generation"`
	Digest     record.HexBytes `json:"digest"`
	Term       record.HexBytes `json:"term,omitempty"` // in version 2
}

const anchorVersion = 2

func (m *Mark) marshal() []byte {
	a := anchor{1, m.Store, m.Generation, m.Digest[:], nil}
	if m.term != [32]byte{} {
		a.Version, a.Term = 2, m.term[:]
	}
	text, _ := json.Marshal(a) // text, numbers, hex: it does not fail
	return append(text, '\n')
}

// parseAnchor accepts the bytes that marshal writes and no others.
func parseAnchor(text []byte) (Mark, error) {
	var a anchor
	if len(text) > 512 {
		return Mark{}, errors.New("it is too long for one")
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return Mark{}, errors.New("it is no JSON")
	}
	if a.Version > anchorVersion {
		return Mark{}, fmt.Errorf("%w: anchor %d", ErrNewerFormat, a.Version)
	}
	m := Mark{Store: a.Store, Generation: a.Generation}
	copy(m.term[:], a.Term)
	if copy(m.Digest[:], a.Digest) != len(m.Digest) || m.Generation == 0 || !bytes.Equal(m.marshal(), text) {
		return Mark{}, errors.New("it is not in the one form")
	}
	return m, nil
}

// loadAnchor reads what the anchor holds: an empty mark if nothing.
func (l *Ledger) loadAnchor(ctx context.Context) (m Mark, rev string, err error) {
	text, rev, err := l.loadFrom(ctx, l.cfg.Anchor, l.anchors)
	if errors.Is(err, ErrNotFound) {
		return Mark{}, "", nil
	}
	if err == nil {
		if m, err = parseAnchor(text); err != nil {
			err = fmt.Errorf("it does not hold an anchor, is it the one meant? %w", err)
		}
	}
	if err != nil {
		return Mark{}, "", fmt.Errorf("%w: %w", ErrAnchor, err)
	}
	return m, rev, nil
}

// recall takes in, once in a process that starts, the newest record that was
// seen before it.
func (l *Ledger) recall(ctx context.Context) error {
	if l.cfg.Anchor == nil || l.Newest().Generation > 0 {
		return nil
	}
	m, _, err := l.loadAnchor(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.newest.Generation == 0 {
		l.newest, l.anchored = m, m
	}
	return nil
}

// AdvanceAnchor moves the anchor on to the newest record seen. The record is
// stored by then, so that the anchor is never ahead of it. An anchor that fails
// stops nothing: the next change tries again. Tell reports whether the outcome
// is worth an event.
func (l *Ledger) AdvanceAnchor(ctx context.Context) (generation uint64, tell bool, err error) {
	l.mu.Lock()
	newest, last := l.newest, l.anchored
	l.mu.Unlock()
	if l.cfg.Anchor == nil || newest.Same(last) {
		return newest.Generation, false, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Timeout)
	defer cancel()
	err = ErrConflict // with other replicas that share the anchor
	for range Attempts {
		if err = l.advanceOnce(ctx, newest); !errors.Is(err, ErrConflict) {
			break
		}
	}
	l.mu.Lock()
	if newest.Generation >= l.anchorTried { // else another call was later, and has the last word
		l.anchorErr, l.anchorTried = err, newest.Generation
		if err == nil {
			l.anchored = newest
		}
	}
	l.mu.Unlock()
	return newest.Generation, err != nil || last.Generation == 0, err
}

// AnchorError returns what came of the last attempt to move the anchor on.
func (l *Ledger) AnchorError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.anchorErr
}

func (l *Ledger) advanceOnce(ctx context.Context, newest Mark) error {
	held, rev, err := l.loadAnchor(ctx)
	switch {
	case err != nil:
		return err
	case rev != "" && held.Store != newest.Store:
		return fmt.Errorf("%w: it is that of store %s", ErrAnchor, held.Store)
	case rev != "" && held.Generation == newest.Generation && held.Digest != newest.Digest:
		return fmt.Errorf("%w: the anchor holds another record of generation %d", ErrForked, held.Generation)
	case rev != "" && held.Generation >= newest.Generation:
		return nil // another replica was further
	}
	_, err = l.swapIn(ctx, l.cfg.Anchor, l.anchors, newest.marshal(), rev)
	return err
}
