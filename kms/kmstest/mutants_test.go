package kmstest_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// A mutant is a provider with one planted fault, and the check that finds it.
type mutant struct {
	plant    func(*kmstest.Key) kms.Wrapper
	caughtBy string
}

type (
	wrapFunc   func(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error)
	unwrapFunc func(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error)
	probeFunc  func(ctx context.Context) (kms.Health, error)
)

// methods is a Wrapper made of functions.
type methods struct {
	wrap   wrapFunc
	unwrap unwrapFunc
	probe  probeFunc
}

func (m *methods) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	return m.wrap(ctx, key, b)
}

func (m *methods) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	return m.unwrap(ctx, blob, b)
}

func (m *methods) Probe(ctx context.Context) (kms.Health, error) { return m.probe(ctx) }

// authenticator is a right provider that answers one question wrongly.
type authenticator struct {
	kms.Wrapper
	says func(*kms.Blob) bool
}

func (a authenticator) Authenticates(b *kms.Blob) bool { return a.says(b) }

// planted returns what replaces single methods of a right provider.
func planted(change func(m *methods, right methods)) func(*kmstest.Key) kms.Wrapper {
	return func(k *kmstest.Key) kms.Wrapper {
		right := methods{k.Wrap, k.Unwrap, k.Probe}
		m := right
		change(&m, right)
		return &m
	}
}

// asks changes what the KMS is asked to unwrap.
func asks(change func(ctx context.Context, k methods, blob kms.Blob) kms.Blob) func(*kmstest.Key) kms.Wrapper {
	return planted(func(m *methods, right methods) {
		m.unwrap = func(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
			if blob != nil {
				blob = new(change(ctx, right, *blob))
			}
			return right.unwrap(ctx, blob, b)
		}
	})
}

// takes changes what the KMS is asked to wrap.
func takes(change func(key []byte, b kms.Binding) []byte) func(*kmstest.Key) kms.Wrapper {
	return planted(func(m *methods, right methods) {
		m.wrap = func(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
			return right.wrap(ctx, change(key, b), b)
		}
	})
}

// makes changes the blobs.
func makes(change func(key []byte, blob *kms.Blob)) func(*kmstest.Key) kms.Wrapper {
	return planted(func(m *methods, right methods) {
		m.wrap = func(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
			blob, err := right.wrap(ctx, key, b)
			if err == nil {
				change(key, blob)
			}
			return blob, err
		}
	})
}

// gives changes what unwrap returns.
func gives(change func(blob *kms.Blob, key []byte, err error) ([]byte, error)) func(*kmstest.Key) kms.Wrapper {
	return planted(func(m *methods, right methods) {
		m.unwrap = func(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
			key, err := right.unwrap(ctx, blob, b)
			return change(blob, key, err)
		}
	})
}

// fails changes the errors of unwrap.
func fails(change func(*kms.Error) error) func(*kmstest.Key) kms.Wrapper {
	return gives(func(_ *kms.Blob, key []byte, err error) ([]byte, error) {
		if e, ok := errors.AsType[*kms.Error](err); ok {
			return key, change(e)
		}
		return key, err
	})
}

// binds changes the binding.
func binds(change func(kms.Binding) kms.Binding) func(*kmstest.Key) kms.Wrapper {
	return planted(func(m *methods, right methods) {
		m.wrap = func(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
			return right.wrap(ctx, key, change(b))
		}
		m.unwrap = func(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
			return right.unwrap(ctx, blob, change(b))
		}
	})
}

// sealedSize is the length of a Fake's ciphertext of 32 bytes.
const sealedSize = 8 + 28 + 32

func mutants() map[string]mutant {
	return map[string]mutant{
		"loses a byte of long keys": {gives(func(_ *kms.Blob, key []byte, err error) ([]byte, error) {
			return key[:min(len(key), 120)], err
		}), "round trip"},
		"appends a zero to keys": {gives(func(_ *kms.Blob, key []byte, err error) ([]byte, error) {
			return append(key, 0), err
		}), "round trip"},
		"stores the key in the clear": {makes(func(key []byte, blob *kms.Blob) {
			blob.Ciphertext = append(blob.Ciphertext, key...)
		}), "blob"},
		"leaves the key id out": {makes(func(_ []byte, blob *kms.Blob) { blob.KeyID = "" }), "blob"},
		"makes huge blobs": {makes(func(_ []byte, blob *kms.Blob) {
			blob.Version = strings.Repeat("1", 20<<10)
		}), "blob"},
		"writes a name that no store keeps": {planted(func(m *methods, right methods) {
			m.wrap = func(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
				blob, err := right.wrap(ctx, key, b)
				if err == nil {
					blob.KeyID = "\xff"
				}
				return blob, err
			}
			m.unwrap = func(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
				if blob != nil && blob.KeyID == "\xff" {
					blob = &kms.Blob{Type: blob.Type, KeyID: "a", Version: blob.Version, Ciphertext: blob.Ciphertext}
				}
				return right.unwrap(ctx, blob, b)
			}
		}), "blob"},
		"names every key the same": {makes(func(_ []byte, blob *kms.Blob) { blob.KeyID = "key" }), "names"},
		"names a key anew each time": {makes(func(_ []byte, blob *kms.Blob) {
			blob.KeyID += hex.EncodeToString(blob.Ciphertext[8:16])
		}), "names"},
		"wipes the caller's key": {takes(func(key []byte, _ kms.Binding) []byte {
			defer clear(key)
			return bytes.Clone(key)
		}), "ownership"},
		"writes behind the caller's key": {takes(func(key []byte, b kms.Binding) []byte {
			_ = append(key, b.Store...)
			return key
		}), "ownership"},
		"wipes the blob": {gives(func(blob *kms.Blob, key []byte, err error) ([]byte, error) {
			if blob != nil {
				clear(blob.Ciphertext)
			}
			return key, err
		}), "ownership"},
		"keeps what it gave out": {planted(func(m *methods, right methods) {
			var kept []byte
			m.unwrap = func(ctx context.Context, blob *kms.Blob, b kms.Binding) (_ []byte, err error) {
				if kept == nil {
					kept, err = right.unwrap(ctx, blob, b)
				}
				return kept, err
			}
		}), "ownership"},
		"pads short keys": {takes(func(key []byte, _ kms.Binding) []byte {
			return append(bytes.Clone(key), make([]byte, max(0, 16-len(key)))...)
		}), "sizes"},
		"ignores the binding": {binds(func(kms.Binding) kms.Binding { return kms.Binding{} }), "binding"},
		"joins the binding's parts": {binds(func(b kms.Binding) kms.Binding {
			return kms.Binding{Store: b.Store + b.Slot + b.Path}
		}), "binding"},
		"gives garbage for a truncated blob": {gives(func(blob *kms.Blob, key []byte, err error) ([]byte, error) {
			if blob != nil && len(blob.Ciphertext) == sealedSize-1 {
				return make([]byte, 31), nil
			}
			return key, err
		}), "truncated"},
		"returns a key along with an error": {gives(func(_ *kms.Blob, key []byte, err error) ([]byte, error) {
			return make([]byte, 32), err
		}), "truncated"},
		"ignores what follows the ciphertext": {asks(func(_ context.Context, _ methods, blob kms.Blob) kms.Blob {
			blob.Ciphertext = blob.Ciphertext[:min(len(blob.Ciphertext), sealedSize)]
			return blob
		}), "extended"},
		"gives garbage for a flipped bit": {gives(func(blob *kms.Blob, key []byte, err error) ([]byte, error) {
			if errors.Is(err, kms.ErrCorrupt) && blob != nil && len(blob.Ciphertext) == sealedSize {
				return make([]byte, 32), nil
			}
			return key, err
		}), "flipped"},
		"returns bare sentinels":      {fails(func(e *kms.Error) error { return e.Kind }), "flipped"},
		"leaves the type out":         {fails(func(e *kms.Error) error { e.Type = ""; return e }), "flipped"},
		"names another op":            {fails(func(e *kms.Error) error { e.Op = "decrypt"; return e }), "flipped"},
		"returns errors of two kinds": {fails(func(e *kms.Error) error { e.Err = kms.ErrDenied; return e }), "flipped"},
		"returns a page of text": {fails(func(e *kms.Error) error {
			e.Err = errors.New("GET https" + strings.Repeat(" <html>", 200))
			return e
		}), "flipped"},
		"shows the key in an error": {planted(func(m *methods, right methods) {
			var shown []byte
			m.wrap = func(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
				shown = bytes.Clone(key)
				return right.wrap(ctx, key, b)
			}
			m.unwrap = func(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
				key, err := right.unwrap(ctx, blob, b)
				if e, ok := errors.AsType[*kms.Error](err); ok {
					e.Err = fmt.Errorf("request %X failed", shown)
				}
				return key, err
			}
		}), "flipped"},
		"takes no blob for an empty key": {gives(func(blob *kms.Blob, key []byte, err error) ([]byte, error) {
			if blob == nil {
				return []byte{}, nil
			}
			return key, err
		}), "no blob"},
		"opens any key's blob": {gives(func(blob *kms.Blob, key []byte, err error) ([]byte, error) {
			if errors.Is(err, kms.ErrWrongKey) {
				return make([]byte, 32), nil
			}
			return key, err
		}), "other key"},
		"calls every blob authentic": {func(k *kmstest.Key) kms.Wrapper { return authenticator{k, func(*kms.Blob) bool { return true }} }, "authenticates"},
		"judges a blob by its type": {func(k *kmstest.Key) kms.Wrapper {
			return authenticator{k, func(b *kms.Blob) bool { return b != nil && b.Type == "fake" }}
		}, "authenticates"},
		"disowns its blobs": {func(k *kmstest.Key) kms.Wrapper { return authenticator{k, func(*kms.Blob) bool { return false }} }, "authenticates"},
		"ignores the type": {asks(func(_ context.Context, _ methods, blob kms.Blob) kms.Blob {
			blob.Type = "fake"
			return blob
		}), "other type"},
		"ignores the version": {asks(func(_ context.Context, _ methods, blob kms.Blob) kms.Blob {
			blob.Version = "1"
			return blob
		}), "other version"},
		"unwraps with the newest version": {asks(func(ctx context.Context, k methods, blob kms.Blob) kms.Blob {
			h, _ := k.probe(ctx)
			blob.Version = h.Version
			return blob
		}), "rotation"},
		"calls a healthy key disabled": {planted(func(m *methods, right methods) {
			m.probe = func(ctx context.Context) (kms.Health, error) {
				h, err := right.probe(ctx)
				h.Enabled = false
				return h, err
			}
		}), "probe"},
		"calls the KMS without the context": {planted(func(m *methods, right methods) {
			m.unwrap = func(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
				return right.unwrap(context.WithoutCancel(ctx), blob, b)
			}
		}), "context ended before"},
		"hides the end of the context": {fails(func(e *kms.Error) error {
			e.Err = errors.New("it ended")
			return e
		}), "context ended before"},
		"does not watch the context": {planted(func(m *methods, right methods) {
			m.unwrap = func(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
				time.Sleep(time.Hour)
				return right.unwrap(ctx, blob, b)
			}
		}), "context ends during"},
		"mixes concurrent calls up": {planted(func(m *methods, right methods) {
			var shared atomic.Pointer[[]byte]
			m.wrap = func(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
				shared.Store(new(bytes.Clone(key)))
				time.Sleep(time.Millisecond)
				return right.wrap(ctx, *shared.Load(), b)
			}
		}), "concurrency"},
		"takes throttling for denial": {fails(func(e *kms.Error) error {
			if e.Kind == kms.ErrThrottled {
				e.Kind = kms.ErrDenied
			}
			return e
		}), "faults"},
		"forgets Retry-After": {fails(func(e *kms.Error) error { e.RetryAfter = 0; return e }), "faults"},
	}
}
