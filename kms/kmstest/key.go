package kmstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/sealwright/sealwright/internal/wait"
	"github.com/sealwright/sealwright/kms"
)

// A Key is one key of a [Fake]. It is a [kms.Wrapper], a [kms.Prober] and a
// [kms.Authenticator].
type Key struct {
	fake *Fake
	name string
}

var (
	_ kms.Wrapper       = (*Key)(nil)
	_ kms.Prober        = (*Key)(nil)
	_ kms.Authenticator = (*Key)(nil)
)

// Wrap implements [kms.Wrapper].
func (k *Key) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	if n := len(key); n < 16 || n > kms.MaxKeySize || n%8 != 0 {
		return nil, k.error(OpWrap, kms.ErrMisconfigured, fmt.Errorf("a key of %d bytes cannot be wrapped", n))
	}
	var blob *kms.Blob
	err := k.call(ctx, OpWrap, func(s *keyState, f Failure) error {
		if s.disabled && !k.fake.DisabledWraps || s.expired() {
			return k.error(OpWrap, kms.ErrKeyDisabled, nil)
		}
		v := len(s.versions)
		m, err := k.version(s, OpWrap, strconv.Itoa(v))
		if err != nil {
			return err
		}
		plaintext := k.fake.lie(f, key)
		k.fake.remember(key)
		blob = &kms.Blob{
			Type:       k.fake.typeName(),
			KeyID:      s.id,
			Version:    strconv.Itoa(v),
			Ciphertext: damage(f, m.seal(plaintext, k.fake.aad(b))),
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return blob, nil
}

// Unwrap implements [kms.Wrapper].
func (k *Key) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	switch {
	case blob == nil:
		return nil, k.error(OpUnwrap, kms.ErrCorrupt, errors.New("no blob"))
	case blob.Type != k.fake.typeName():
		return nil, k.error(OpUnwrap, kms.ErrWrongKey, fmt.Errorf("the blob is of type %q", blob.Type))
	}
	var key []byte
	err := k.call(ctx, OpUnwrap, func(s *keyState, f Failure) error {
		if blob.KeyID != s.id {
			return k.error(OpUnwrap, kms.ErrWrongKey, fmt.Errorf("the blob is of key %q", blob.KeyID))
		}
		if s.disabled {
			return k.error(OpUnwrap, kms.ErrKeyDisabled, nil)
		}
		m, err := k.version(s, OpUnwrap, blob.Version)
		if err != nil {
			return err
		}
		plaintext, kind := m.open(damage(f, blob.Ciphertext), k.fake.aad(b))
		if kind != nil {
			return k.error(OpUnwrap, kind, errors.New("fake: cannot decrypt"))
		}
		key = k.fake.lie(f, plaintext)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return key, nil
}

// Probe implements [kms.Prober].
func (k *Key) Probe(ctx context.Context) (kms.Health, error) {
	var h kms.Health
	err := k.call(ctx, OpProbe, func(s *keyState, _ Failure) error {
		v := strconv.Itoa(len(s.versions))
		if _, err := k.version(s, OpProbe, v); err != nil && s.deletion.IsZero() {
			return err
		}
		h = kms.Health{KeyID: s.id, Version: v, Enabled: !s.disabled && !s.expired() && s.deletion.IsZero(), Deletion: s.deletion, Expires: s.expires}
		return nil
	})
	return h, err
}

// Authenticates implements [kms.Authenticator]: it is true of the blobs of the
// key that the name stands for now, unless the [Fake] is Forgeable.
func (k *Key) Authenticates(blob *kms.Blob) bool {
	k.fake.mu.Lock()
	defer k.fake.mu.Unlock()
	return !k.fake.Forgeable && blob != nil && blob.Type == k.fake.typeName() && blob.KeyID == k.fake.key(k.name).id
}

// call takes one request through its fault: it waits, fails before or after the
// work, or lets work run, under the lock, with what the fault does to it.
func (k *Key) call(ctx context.Context, op string, work func(*keyState, Failure) error) error {
	if err := ctx.Err(); err != nil {
		return k.error(op, kms.ErrUnavailable, err)
	}
	n, fault := k.fake.arrive(op, k.name)
	done, err := k.suffer(ctx, op, fault, work)
	k.fake.leave(n, done, err)
	return err
}

func (k *Key) suffer(ctx context.Context, op string, fault Fault, work func(*keyState, Failure) error) (done bool, err error) {
	if d := k.fake.Latency + fault.Delay; d > 0 {
		if err := wait.For(ctx, d); err != nil {
			return false, k.error(op, kms.ErrUnavailable, err)
		}
	}
	failure := fault.Failure
	fails := failure.Kind() != nil && failure != Truncated && failure != Extended && !failure.harmless(op)
	if fails && !fault.After {
		return false, k.failed(ctx, op, fault)
	}
	k.fake.mu.Lock()
	err = work(k.fake.key(k.name), failure)
	k.fake.mu.Unlock()
	if err != nil {
		return true, err
	}
	if fails {
		return true, k.failed(ctx, op, fault)
	}
	return true, nil
}

func (k *Key) failed(ctx context.Context, op string, f Fault) error {
	cause := f.Failure.cause()
	if f.Failure == Hang {
		<-ctx.Done()
		cause = ctx.Err()
	}
	err := k.error(op, f.Failure.Kind(), cause)
	if kms.Temporary(err) {
		err.RetryAfter = f.RetryAfter
	}
	return err
}

func (k *Key) error(op string, kind, cause error) *kms.Error {
	return &kms.Error{Op: op, Type: k.fake.typeName(), KeyID: k.name, Kind: kind, Err: cause}
}

// version returns the material of one version of a key that is there.
func (k *Key) version(s *keyState, op, version string) (material, error) {
	if !s.deletion.IsZero() {
		return material{}, k.error(op, kms.ErrKeyGone, errors.New("fake: the key waits for its deletion"))
	}
	n, err := strconv.Atoi(version)
	if err != nil || n < 1 || n > len(s.versions) || strconv.Itoa(n) != version {
		return material{}, k.error(op, kms.ErrKeyGone, fmt.Errorf("fake: no version %q", version))
	}
	if m := s.versions[n-1]; m.key != nil {
		return m, nil
	}
	return material{}, k.error(op, kms.ErrKeyGone, fmt.Errorf("fake: version %q is destroyed", version))
}

func (f *Fake) aad(b kms.Binding) []byte {
	if f.Forgeable {
		return nil
	}
	return b.Bytes()
}

// remember keeps key for a later OtherPlaintext. The caller holds the lock.
func (f *Fake) remember(key []byte) {
	f.seen = slices.DeleteFunc(f.seen, func(k []byte) bool { return bytes.Equal(k, key) })
	f.seen = append(f.seen[max(0, len(f.seen)-1):], slices.Clone(key))
}

// lie returns key, or what a failure puts in its place. The caller holds the
// lock.
func (f *Fake) lie(failure Failure, key []byte) []byte {
	switch failure {
	case OtherPlaintext:
		for _, k := range slices.Backward(f.seen) {
			if !bytes.Equal(k, key) {
				return slices.Clone(k)
			}
		}
		fallthrough // nothing else was wrapped
	case WrongPlaintext:
		return newMaterial("wrong plaintext").stream(len(key))
	}
	return slices.Clone(key)
}

// damage returns ciphertext as a failure leaves it.
func damage(failure Failure, ciphertext []byte) []byte {
	switch failure {
	case Truncated:
		return slices.Clone(ciphertext[:max(0, len(ciphertext)-1)])
	case Extended:
		return append(slices.Clone(ciphertext), 0)
	}
	return ciphertext
}
