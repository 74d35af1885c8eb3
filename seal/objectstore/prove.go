package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// racers is how many writers race in the proof.
const racers = 4

// A verdict is what became of the proof: done, or done and failed.
type verdict struct {
	done bool
	err  error // wraps ErrNoConditions
}

// Prove has the server prove itself, unless it did for this Store: see the package's
// comment. The first Swap calls it. It returns [ErrNoConditions], from then on, where
// the server failed, and another error where there is no saying yet.
func (s *Store) Prove(ctx context.Context) error {
	var v verdict
	select {
	case v = <-s.proof:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.proof <- v }()
	if v.done {
		return v.err
	}
	err := s.prove(ctx)
	if err == nil || errors.Is(err, ErrNoConditions) {
		v = verdict{done: true, err: err}
	}
	return err
}

// prove tries the server on an object of its own, which it deletes.
func (s *Store) prove(ctx context.Context) error {
	p := &proof{store: s, key: s.cfg.Key + ".proof-" + string(newNonce())}
	err := p.run(ctx)
	if !p.deleted {
		// Where this fails an object of no worth stays; the next proof has another name.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		p.store.bucket.Delete(ctx, p.key)
	}
	if err != nil && !errors.Is(err, ErrNoConditions) {
		return fmt.Errorf("the server has not proved its conditions yet: %w", err)
	}
	return err
}

// A proof is one object's way through what must and must not win.
type proof struct {
	store   *Store
	key     string
	deleted bool
}

func (p *proof) run(ctx context.Context) error {
	first, err := p.race(ctx, "create", "")
	if err != nil {
		return err
	}
	if err := p.refused(ctx, "a create over an object that was there", ""); err != nil {
		return err
	}
	second, err := p.race(ctx, "swap", first)
	if err != nil {
		return err
	}
	if err := p.refused(ctx, "a stale swap", first); err != nil {
		return err
	}
	if err := p.store.bucket.Delete(ctx, p.key); err != nil {
		return fmt.Errorf("delete %q: %w", p.key, err)
	}
	p.deleted = true
	if err := p.absent(ctx, "after a delete"); err != nil {
		return err
	}
	if err := p.refused(ctx, "a swap after a delete", second); err != nil {
		return err
	}
	return p.absent(ctx, "after a delete and a swap that was refused")
}

// race has writers put at one tag, of whom one wins, and returns the winner's tag.
func (p *proof) race(ctx context.Context, what, old string) (tag string, err error) {
	var tags [racers]string
	var errs [racers]error
	var contents [racers][]byte
	var wg sync.WaitGroup
	for i := range racers {
		contents[i] = encode([]byte("a proof of conditions; delete it"))
		wg.Go(func() { tags[i], errs[i] = p.store.bucket.Put(ctx, p.key, contents[i], old) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			return "", fmt.Errorf("%w: of %d racing %ss more than one won", ErrNoConditions, racers, what)
		case err == nil:
			winner = i
		}
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, seal.ErrConflict) {
			return "", fmt.Errorf("%s: %w", what, err)
		}
	}
	if winner < 0 {
		return "", fmt.Errorf("of %d racing %ss none won; try again", racers, what)
	}
	present, at, err := p.store.get(ctx, p.key)
	switch {
	case errors.Is(err, seal.ErrNotFound):
		return "", fmt.Errorf("%w: a load after a %s found nothing", ErrNoConditions, what)
	case err != nil:
		return "", fmt.Errorf("load after a %s: %w", what, err)
	case !bytes.Equal(present, contents[winner]):
		return "", fmt.Errorf("%w: a load after a %s found something else than the winner wrote", ErrNoConditions, what)
	case at != tags[winner]:
		return "", fmt.Errorf("%w: a load after a %s has the tag %q, which the %s said is %q", ErrNoConditions, what, at, what, tags[winner])
	case at == old:
		return "", fmt.Errorf("%w: the tag %q came a second time for other content", ErrNoConditions, at)
	}
	return at, nil
}

// refused has a put be refused.
func (p *proof) refused(ctx context.Context, what, old string) error {
	_, err := p.store.bucket.Put(ctx, p.key, encode([]byte("a proof that failed; delete it")), old)
	switch {
	case err == nil:
		p.deleted = false
		return fmt.Errorf("%w: %s won", ErrNoConditions, what)
	case !errors.Is(err, seal.ErrConflict):
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// absent finds nothing.
func (p *proof) absent(ctx context.Context, what string) error {
	_, _, err := p.store.get(ctx, p.key)
	switch {
	case err == nil:
		return fmt.Errorf("%w: a load %s still found the object", ErrNoConditions, what)
	case !errors.Is(err, seal.ErrNotFound):
		return fmt.Errorf("load %s: %w", what, err)
	}
	return nil
}
