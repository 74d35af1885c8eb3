package custody

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// Keys asks the KMS of the configuration, by the names that specs use. What one
// of them asks for, or does not answer, concerns it alone: its wish to be left
// alone is remembered here, and until then the answer comes from memory. Its
// methods are safe for concurrent use.
type Keys struct {
	keys  map[string]*key
	retry kms.Policy
	head  time.Duration // how long a key is waited for before one more is asked
}

// A key is one KMS of the configuration.
type key struct {
	kms.Wrapper

	mu    sync.Mutex
	until time.Time  // when it may be asked again
	why   *kms.Error // its last word, while it rests

	hung bounded.Hung
}

// NewKeys returns the Keys of a configuration.
func NewKeys(wrappers map[string]kms.Wrapper, retry kms.Policy, head time.Duration) *Keys {
	k := &Keys{map[string]*key{}, retry, head}
	for name, w := range wrappers {
		k.keys[name] = &key{Wrapper: w}
	}
	return k
}

// Once returns the same Keys, which make one attempt a call: for whoever tries
// again by a clock of their own.
func (k *Keys) Once() *Keys {
	once := *k
	once.retry.Attempts = 1
	return &once
}

// wrap asks the named KMS to wrap key.
func (k *Keys) wrap(ctx context.Context, name string, key []byte, place kms.Binding) (*kms.Blob, error) {
	w, err := k.named("wrap", name)
	if err != nil {
		return nil, err
	}
	lent := &lentKey{key: bytes.Clone(key)}
	defer lent.wipe()
	blob, err := ask(ctx, k, w, "wrap", func(ctx context.Context) (*kms.Blob, error) {
		own := lent.copy()
		if own == nil {
			return nil, context.Canceled // nobody waits any more
		}
		defer clear(own)
		return w.Wrap(ctx, own, place)
	})
	if err == nil && (blob == nil || blob.Type == "" || blob.KeyID == "" || len(blob.Ciphertext) == 0) {
		err = &kms.Error{Op: "wrap", Kind: kms.ErrCorrupt, Err: fmt.Errorf("KMS %q answered without a blob", name)}
	}
	if err != nil {
		return nil, fmt.Errorf("KMS %q: %w", name, err)
	}
	return blob, nil
}

// A lentKey is what calls of a KMS get copies of, each its own: one that hangs is
// given up on, and reads its copy still when the caller has wiped the key.
type lentKey struct {
	mu  sync.Mutex
	key []byte
}

// copy returns a copy to be wiped, or nil after wipe.
func (l *lentKey) copy() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.key)
}

func (l *lentKey) wipe() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.key)
	l.key = nil
}

// WrapChecked has the named KMS wrap key, and unwrap it again: a KMS that lies,
// or may only wrap, is found before anything is stored.
func (k *Keys) WrapChecked(ctx context.Context, name string, key []byte, place kms.Binding) (*kms.Blob, error) {
	blob, err := k.wrap(ctx, name, key, place)
	if err != nil {
		return nil, err
	}
	got, err := k.unwrap(ctx, name, blob, place)
	if err != nil {
		return nil, err
	}
	defer clear(got)
	if !equal(got, key) {
		return nil, fmt.Errorf("KMS %q: %w", name, &kms.Error{Op: "unwrap", Type: blob.Type, KeyID: blob.KeyID, Kind: kms.ErrCorrupt,
			Err: errors.New("it answered with another key than it had wrapped")})
	}
	return blob, nil
}

// unwrap asks the named KMS for what the blob holds. The caller wipes it.
func (k *Keys) unwrap(ctx context.Context, name string, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	w, err := k.named("unwrap", name)
	if err != nil {
		return nil, err
	}
	key, err := ask(ctx, k, w, "unwrap", func(ctx context.Context) ([]byte, error) { return w.Unwrap(ctx, blob, place) })
	if err != nil {
		return nil, fmt.Errorf("KMS %q: %w", name, err)
	}
	return key, nil
}

func (k *Keys) named(op, name string) (*key, error) {
	if w := k.keys[name]; w != nil {
		return w, nil
	}
	return nil, &kms.Error{Op: op, Kind: kms.ErrMisconfigured,
		Err: fmt.Errorf("the store names a KMS %q, and the configuration has none of that name", name)}
}

// wrapper returns the host's own of that name, or nil.
func (k *Keys) wrapper(name string) kms.Wrapper {
	if w := k.keys[name]; w != nil {
		return w.Wrapper
	}
	return nil
}

// Health returns what the named KMS says of its key, where it can say it. A
// probe needs a permission of its own, so one that fails says nothing.
func (k *Keys) Health(ctx context.Context, name string) (kms.Health, bool) {
	p, ok := k.wrapper(name).(kms.Prober)
	if !ok {
		return kms.Health{}, false
	}
	health, err := ask(ctx, k, k.keys[name], "probe", p.Probe)
	return health, err == nil
}

// Authenticates reports whether what the named KMS wraps proves who had it
// wrapped.
func (k *Keys) Authenticates(ctx context.Context, name string, place kms.Binding) bool {
	key := make([]byte, 64)
	rand.Read(key)
	blob, err := k.wrap(ctx, name, key, place)
	return err == nil && k.authenticates(name, blob)
}

// authenticates reports whether a blob that the named KMS unwrapped proves who
// made it.
func (k *Keys) authenticates(name string, blob *kms.Blob) bool {
	a, ok := k.wrapper(name).(kms.Authenticator)
	return ok && says(func() bool { return a.Authenticates(blob) })
}

// says is what a provider says to a question, and no where it panics.
func says(question func() bool) (yes bool) {
	err := bounded.Guard(func() error { yes = question(); return nil })
	return yes && err == nil
}

// RestUntil returns when it makes sense to ask the keys of a tree again: the
// zero time where any of them may be asked now.
func (k *Keys) RestUntil(tree *record.Node) (at time.Time) {
	first := true
	tree.Leaves(func(leaf *record.Node) bool {
		if leaf.KMS == nil || k.keys[leaf.KMS.Name] == nil {
			return true
		}
		until := k.keys[leaf.KMS.Name].restUntil()
		if first || until.Before(at) {
			first, at = false, until
		}
		return true
	})
	return at
}

// ask calls a KMS under the retry policy, or answers with its last words while
// it rests. Where ctx ends with a cause of its own, as by a Seal, the error is
// that too.
func ask[T any](ctx context.Context, k *Keys, w *key, op string, f func(context.Context) (T, error)) (T, error) {
	var out T
	err := k.retry.Do(ctx, func(ctx context.Context) error {
		if err := w.ready(op); err != nil {
			return err
		}
		v, err := bounded.Unless(ctx, &w.hung, "", maxHung, maxHung, f, func(late T) {
			if key, ok := any(late).([]byte); ok {
				clear(key) // which nobody waits for any more
			}
		})
		switch {
		case errors.Is(err, bounded.ErrNoAnswer), errors.Is(err, bounded.ErrBusy):
			err = &kms.Error{Op: op, Kind: kms.ErrUnavailable, Err: err}
		case errors.Is(err, bounded.ErrPanic):
			err = &kms.Error{Op: op, Kind: kms.ErrMisconfigured, Err: fmt.Errorf("the provider is at fault: %w", err)}
		case err == nil:
			out = v
		}
		w.heard(err)
		return err
	})
	if cause := context.Cause(ctx); err != nil && cause != nil && cause != ctx.Err() {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return out, err
}

// maxHung is how many calls of one KMS may hang, given up on, before it is asked
// no more: each keeps a goroutine.
const maxHung = 16

// ready says why there is no call now, if there is none.
func (w *key) ready(op string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if rest := time.Until(w.until); rest > 0 {
		return &kms.Error{Op: op, Type: w.why.Type, KeyID: w.why.KeyID, Kind: w.why.Kind, RetryAfter: rest,
			Err: fmt.Errorf("it asked to be left alone until %s: %w", w.until.UTC().Format(time.RFC3339), w.why)}
	}
	return nil
}

// heard remembers for how long a KMS asked to be left alone.
func (w *key) heard(err error) {
	e, ok := errors.AsType[*kms.Error](err)
	if !ok || e.Rest() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if until := time.Now().Add(e.Rest()); until.After(w.until) {
		w.until, w.why = until, e
	}
}

func (w *key) restUntil() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Until(w.until) <= 0 {
		return time.Time{}
	}
	return w.until
}
