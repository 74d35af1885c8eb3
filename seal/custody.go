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
	blob, err := ask(ctx, b, func(ctx context.Context) (*kms.Blob, error) { return w.Wrap(ctx, key, place) })
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
	key, err := ask(ctx, b, func(ctx context.Context) ([]byte, error) { return w.Unwrap(ctx, blob, place) })
	if err != nil {
		return nil, fmt.Errorf("KMS %q: %w", name, err)
	}
	return key, nil
}

// ask calls a KMS under the retry policy, until Close. What is asked while
// unsealed ends with a Seal as well: people who are to unseal then must not wait
// for a change that waits for its KMS.
func ask[T any](ctx context.Context, b *Barrier, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.mu.Lock()
	until := b.life
	if b.open != nil {
		until = b.unsealed
	}
	b.mu.Unlock()
	defer context.AfterFunc(until, cancel)()
	var out T
	err := b.cfg.Retry.Do(ctx, func(ctx context.Context) error {
		v, err := inTime(ctx, f)
		if err == nil {
			out = v
		}
		return err
	})
	switch {
	case err != nil && b.life.Err() != nil:
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	case err != nil && until.Err() != nil:
		err = fmt.Errorf("%w: %w", ErrSealed, err)
	}
	return out, err
}

// inTime calls f, and comes back soon after the end of the context also where f
// does not: a KMS or a file system that hangs must not hang the server.
func inTime[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		var r result
		secret.Do(func() { r.value, r.err = f(ctx) })
		results <- r
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-results: // with the last words of whoever was asked
		return r.value, r.err
	case <-time.After(time.Second):
		var none T
		return none, &kms.Error{Op: "call", Kind: kms.ErrUnavailable, Err: fmt.Errorf("no answer in time: %w", ctx.Err())}
	}
}

// A record in the store, and its revision.
type stored struct {
	rec []byte
	rev string
}

func (b *Barrier) loadStored(ctx context.Context) ([]byte, string, error) {
	return b.loadFrom(ctx, b.cfg.Store)
}

func (b *Barrier) loadFrom(ctx context.Context, store Store) ([]byte, string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.StoreTimeout)
	defer cancel()
	s, err := inTime(ctx, func(ctx context.Context) (s stored, err error) {
		s.rec, s.rev, err = store.Load(ctx)
		return s, err
	})
	return s.rec, s.rev, err
}

// swapStored is Store.Swap in time. What a swap that was given up on does later
// is an unknown outcome like any other.
func (b *Barrier) swapStored(ctx context.Context, rec []byte, old string) (string, error) {
	return b.swapIn(ctx, b.cfg.Store, rec, old)
}

func (b *Barrier) swapIn(ctx context.Context, store Store, rec []byte, old string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.StoreTimeout)
	defer cancel()
	return inTime(ctx, func(ctx context.Context) (string, error) { return store.Swap(ctx, rec, old) })
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
