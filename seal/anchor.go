package seal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/internal/record"
)

// ErrAnchor: [Config.Anchor] could not be read, so a process that starts cannot
// know whether the record is an old one. Mend the anchor, or do without it.
var ErrAnchor = errors.New("seal: the anchor cannot be read")

// An anchor is what [Config.Anchor] keeps: which record is the newest that was
// seen, by a process that has ended since. FORMAT.md has its bytes.
type anchor struct {
	Version    int             `json:"anchor"`
	Store      string          `json:"store"`
	Generation uint64          `json:"generation"`
	Digest     record.HexBytes `json:"digest"`
}

const anchorVersion = 1

func (m *mark) marshal() []byte {
	text, _ := json.Marshal(anchor{anchorVersion, m.store, m.generation, m.digest[:]}) // text, numbers, hex: it does not fail
	return append(text, '\n')
}

// parseAnchor accepts the bytes that marshal writes and no others.
func parseAnchor(text []byte) (mark, error) {
	var a anchor
	if len(text) > 512 {
		return mark{}, errors.New("it is too long for one")
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return mark{}, errors.New("it is no JSON")
	}
	if a.Version > anchorVersion {
		return mark{}, fmt.Errorf("%w: anchor %d", ErrNewerFormat, a.Version)
	}
	m := mark{store: a.Store, generation: a.Generation}
	if copy(m.digest[:], a.Digest) != len(m.digest) || m.generation == 0 || !bytes.Equal(m.marshal(), text) {
		return mark{}, errors.New("it is not in the one form")
	}
	return m, nil
}

// loadAnchor reads what the anchor holds: an empty mark if nothing.
func (b *Barrier) loadAnchor(ctx context.Context) (m mark, rev string, err error) {
	text, rev, err := b.loadFrom(ctx, b.cfg.Anchor)
	if errors.Is(err, ErrNotFound) {
		return mark{}, "", nil
	}
	if err == nil {
		if m, err = parseAnchor(text); err != nil {
			err = fmt.Errorf("it does not hold an anchor, is it the one meant? %w", err)
		}
	}
	if err != nil {
		return mark{}, "", fmt.Errorf("%w: %w", ErrAnchor, err)
	}
	return m, rev, nil
}

// recall takes in, once in a process that starts, the newest record that was
// seen before it.
func (b *Barrier) recall(ctx context.Context) error {
	b.mu.Lock()
	known := b.mark.generation > 0
	b.mu.Unlock()
	if known || b.cfg.Anchor == nil {
		return nil
	}
	m, _, err := b.loadAnchor(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mark.generation == 0 {
		b.mark, b.anchored = m, m
	}
	return nil
}

// moor moves the anchor on to the newest record seen; the caller has the turn.
// The record is stored by then, so that the anchor is never ahead of it. An
// anchor that fails stops nothing: events and Status say so, and the next
// change tries again.
func (b *Barrier) moor(ctx context.Context) {
	b.mu.Lock()
	newest, last := b.mark, b.anchored
	b.mu.Unlock()
	if b.cfg.Anchor == nil || newest.generation == last.generation && newest.digest == last.digest {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.cfg.StoreTimeout)
	defer cancel()
	err := ErrConflict // with other replicas that share the anchor
	for range conflicts {
		if err = b.moorOnce(ctx, newest); !errors.Is(err, ErrConflict) {
			break
		}
	}
	b.mu.Lock()
	b.anchorErr = err
	if err == nil {
		b.anchored = newest
	}
	b.mu.Unlock()
	if err != nil || last.generation == 0 {
		b.emit(EventAnchor, By{}, "", fmt.Sprintf("generation %d", newest.generation), err)
	}
}

func (b *Barrier) moorOnce(ctx context.Context, newest mark) error {
	held, rev, err := b.loadAnchor(ctx)
	switch {
	case err != nil:
		return err
	case rev != "" && held.store != newest.store:
		return fmt.Errorf("%w: it is that of store %s", ErrAnchor, held.store)
	case rev != "" && held.generation == newest.generation && held.digest != newest.digest:
		return fmt.Errorf("%w: the anchor holds another record of generation %d", ErrForked, held.generation)
	case rev != "" && held.generation >= newest.generation:
		return nil // another replica was further
	}
	_, err = b.swapIn(ctx, b.cfg.Anchor, newest.marshal(), rev)
	return err
}
