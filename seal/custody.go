package seal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/secret"
	"github.com/sealwright/sealwright/kms"
)

// wrap asks the named KMS to wrap key, with the Barrier's retries.
func (b *Barrier) wrap(ctx context.Context, name string, key []byte, place kms.Binding) (*kms.Blob, error) {
	w := b.cfg.KMS[name]
	var blob *kms.Blob
	err := b.call(ctx, func(ctx context.Context) (err error) {
		blob, err = w.Wrap(ctx, key, place)
		return err
	})
	if err == nil && (blob == nil || blob.Type == "" || blob.KeyID == "" || len(blob.Ciphertext) == 0) {
		err = &kms.Error{Op: "wrap", Kind: kms.ErrCorrupt, Err: fmt.Errorf("KMS %q answered without a blob", name)}
	}
	if err != nil {
		return nil, fmt.Errorf("KMS %q: %w", name, err)
	}
	return blob, nil
}

// wrapChecked is wrap, and an unwrap that must give the key back: a KMS that
// lies, or may only wrap, is found before anything is stored.
func (b *Barrier) wrapChecked(ctx context.Context, name string, key []byte, place kms.Binding) (*kms.Blob, error) {
	blob, err := b.wrap(ctx, name, key, place)
	if err != nil {
		return nil, err
	}
	got, err := b.unwrap(ctx, name, blob, place)
	if err != nil {
		return nil, err
	}
	defer clear(got)
	if !equalSecret(got, key) {
		return nil, fmt.Errorf("KMS %q: %w", name, &kms.Error{Op: "unwrap", Type: blob.Type, KeyID: blob.KeyID, Kind: kms.ErrCorrupt,
			Err: errors.New("it answered with another key than it had wrapped")})
	}
	return blob, nil
}

// unwrap asks the named KMS for what the blob holds, with the Barrier's
// retries. The caller wipes it.
func (b *Barrier) unwrap(ctx context.Context, name string, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	w := b.cfg.KMS[name]
	if w == nil {
		return nil, &kms.Error{Op: "unwrap", Type: blob.Type, KeyID: blob.KeyID, Kind: kms.ErrMisconfigured,
			Err: fmt.Errorf("the store names a KMS %q, and the configuration has none of that name", name)}
	}
	var key []byte
	err := b.call(ctx, func(ctx context.Context) (err error) {
		key, err = w.Unwrap(ctx, blob, place)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("KMS %q: %w", name, err)
	}
	return key, nil
}

// call runs f under the retry policy, and comes back at the end of the context
// also where a wrapper does not.
func (b *Barrier) call(ctx context.Context, f func(context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		var err error
		secret.Do(func() { err = b.cfg.Retry.Do(ctx, f) })
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	// Do returns soon after its context, with the KMS's own last words.
	select {
	case err := <-done:
		return err
	case <-time.After(time.Second):
		return &kms.Error{Op: "call", Kind: kms.ErrUnavailable, Err: ctx.Err()}
	}
}

// An answer is what a call of the store gives.
type answer struct {
	rec []byte
	rev string
	err error
}

// ask calls the store, and comes back at the end of its time also where the
// store does not: a hung file system must not hang the server. What a swap that
// was given up on does later is an unknown outcome like any other.
func (b *Barrier) ask(ctx context.Context, f func(context.Context) answer) answer {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.StoreTimeout)
	defer cancel()
	done := make(chan answer, 1)
	go func() { done <- f(ctx) }()
	select {
	case a := <-done:
		return a
	case <-ctx.Done():
	}
	select {
	case a := <-done:
		return a
	case <-time.After(time.Second):
		return answer{err: fmt.Errorf("no answer in time: %w", ctx.Err())}
	}
}

func (b *Barrier) loadStored(ctx context.Context) ([]byte, string, error) {
	a := b.ask(ctx, func(ctx context.Context) (a answer) {
		a.rec, a.rev, a.err = b.cfg.Store.Load(ctx)
		return a
	})
	return a.rec, a.rev, a.err
}

func (b *Barrier) swapStored(ctx context.Context, rec []byte, old string) (string, error) {
	a := b.ask(ctx, func(ctx context.Context) (a answer) {
		a.rev, a.err = b.cfg.Store.Swap(ctx, rec, old)
		return a
	})
	return a.rev, a.err
}

// openByKMS opens the record through the slots that need nobody: the first at
// once, each further one after a head start or when one before it failed. The
// first success wins.
func (b *Barrier) openByKMS(ctx context.Context, l *loaded) (*opened, *record.Slot, error) {
	var slots []*record.Slot
	for i := range l.Slots {
		if s := &l.Slots[i]; s.Opens() && !s.Tree.NeedsPeople() {
			slots = append(slots, s)
		}
	}
	if len(slots) == 0 {
		return nil, nil, errNeedsPeople
	}
	type result struct {
		o    *opened
		slot *record.Slot
		err  error
	}
	results := make(chan result, len(slots))
	ctx, cancel := context.WithCancel(ctx)
	var racers sync.WaitGroup
	defer func() {
		cancel()
		go func() { // a slower racer may have opened the record as well
			racers.Wait()
			close(results)
			for late := range results {
				if late.o != nil {
					late.o.wipe()
				}
			}
		}()
	}()
	start := func(s *record.Slot) {
		racers.Go(func() {
			secret.BurnStack()
			o, err := b.openSlot(ctx, l, s, nil)
			secret.BurnStack()
			results <- result{o, s, err}
		})
	}
	start(slots[0])
	started, finished := 1, 0
	timer := time.NewTimer(b.cfg.HeadStart)
	defer timer.Stop()
	var errs []error
	for finished < len(slots) {
		select {
		case r := <-results:
			if r.err == nil {
				return r.o, r.slot, nil
			}
			finished++
			errs = append(errs, wrapError("open", r.slot.Name, r.err))
		case <-timer.C:
		}
		if started < len(slots) {
			start(slots[started])
			started++
			timer.Reset(b.cfg.HeadStart)
		}
	}
	return nil, nil, errors.Join(errs...)
}

// openSlot opens the record through one slot, with the shares given for it.
func (b *Barrier) openSlot(ctx context.Context, l *loaded, slot *record.Slot, g *gather) (*opened, error) {
	h := harvest{barrier: b, store: l.Store, slot: slot}
	if g != nil {
		g.into(&h)
		defer h.wipe()
	}
	seed, err := h.open(ctx, &slot.Tree, "", 1, 1)
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	return b.unlockThrough(l, slot, seed, &h)
}
