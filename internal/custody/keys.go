package custody

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/kms"
)

// Keys asks the KMS of the configuration, by the names that specs use. Its
// methods are safe for concurrent use.
type Keys struct {
	wrappers map[string]kms.Wrapper
	retry    kms.Policy
}

// NewKeys returns the Keys of a configuration.
func NewKeys(wrappers map[string]kms.Wrapper, retry kms.Policy) *Keys {
	return &Keys{wrappers, retry}
}

// wrap asks the named KMS to wrap key.
func (k *Keys) wrap(ctx context.Context, name string, key []byte, place kms.Binding) (*kms.Blob, error) {
	w := k.wrappers[name]
	blob, err := ask(ctx, k, func(ctx context.Context) (*kms.Blob, error) { return w.Wrap(ctx, key, place) })
	if err == nil && (blob == nil || blob.Type == "" || blob.KeyID == "" || len(blob.Ciphertext) == 0) {
		err = &kms.Error{Op: "wrap", Kind: kms.ErrCorrupt, Err: fmt.Errorf("KMS %q answered without a blob", name)}
	}
	if err != nil {
		return nil, fmt.Errorf("KMS %q: %w", name, err)
	}
	return blob, nil
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
	w := k.wrappers[name]
	if w == nil {
		return nil, &kms.Error{Op: "unwrap", Type: blob.Type, KeyID: blob.KeyID, Kind: kms.ErrMisconfigured,
			Err: fmt.Errorf("the store names a KMS %q, and the configuration has none of that name", name)}
	}
	key, err := ask(ctx, k, func(ctx context.Context) ([]byte, error) { return w.Unwrap(ctx, blob, place) })
	if err != nil {
		return nil, fmt.Errorf("KMS %q: %w", name, err)
	}
	return key, nil
}

// Health returns what the named KMS says of its key, where it can say it. A
// probe needs a permission of its own, so one that fails says nothing.
func (k *Keys) Health(ctx context.Context, name string) (kms.Health, bool) {
	p, ok := k.wrappers[name].(kms.Prober)
	if !ok {
		return kms.Health{}, false
	}
	health, err := ask(ctx, k, p.Probe)
	return health, err == nil
}

// authenticates reports whether a blob that the named KMS unwrapped proves who
// made it.
func (k *Keys) authenticates(name string, blob *kms.Blob) bool {
	a, ok := k.wrappers[name].(kms.Authenticator)
	return ok && a.Authenticates(blob)
}

// ask calls a KMS under the retry policy. Where ctx ends with a cause of its
// own, as by a Seal, the error is that too.
func ask[T any](ctx context.Context, k *Keys, f func(context.Context) (T, error)) (T, error) {
	var out T
	err := k.retry.Do(ctx, func(ctx context.Context) error {
		v, err := bounded.Call(ctx, f)
		switch {
		case errors.Is(err, bounded.ErrNoAnswer):
			return &kms.Error{Op: "call", Kind: kms.ErrUnavailable, Err: err}
		case errors.Is(err, bounded.ErrPanic):
			return &kms.Error{Op: "call", Kind: kms.ErrMisconfigured, Err: fmt.Errorf("the provider is at fault: %w", err)}
		case err == nil:
			out = v
		}
		return err
	})
	if cause := context.Cause(ctx); err != nil && cause != nil && cause != ctx.Err() {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return out, err
}
