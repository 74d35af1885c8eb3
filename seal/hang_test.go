package seal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

// A stuck is a store and a KMS that answer nobody, and look at no context,
// until they are released.
type stuck struct {
	seal.Store
	kms.Wrapper
	release chan struct{}
	store   bool // the store is stuck; else the KMS
}

func (s *stuck) Load(ctx context.Context) ([]byte, string, error) {
	if s.store {
		<-s.release
	}
	return s.Store.Load(ctx)
}

func (s *stuck) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if s.store {
		<-s.release
	}
	return s.Store.Swap(ctx, rec, old)
}

func (s *stuck) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	if !s.store {
		<-s.release
	}
	return s.Wrapper.Wrap(ctx, key, b)
}

func (s *stuck) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	if !s.store {
		<-s.release
	}
	return s.Wrapper.Unwrap(ctx, blob, b)
}

// TestNoHang calls everything while the store or the KMS hangs and ignores its
// context. Every call comes back soon after its own context ends; what was
// encrypted stays readable; and when the hanging ends no goroutine is left, or
// the bubble would not end.
func TestNoHang(t *testing.T) {
	calls, hung := 0, 0
	for _, store := range []bool{true, false} {
		virtual(t, func(t *testing.T) {
			begin := scenario{begin: threeSlots}.prepare(t.Context(), t)
			v, b := begin.from(t.Context(), t, seal.NewMemStore())
			defer b.Close()
			must(t, v.write(b))
			s := &stuck{Store: v.inner, Wrapper: v.fake.Key("a"), release: make(chan struct{}), store: store}
			cfg := seal.Config{Store: s, KMS: map[string]kms.Wrapper{"a": s, "b": s, "c": s}, Replica: "test"}
			sealed, err := seal.Open(cfg)
			must(t, err)
			defer sealed.Close()
			b.SwapStore(s)
			b.SwapKMS(cfg.KMS)
			for name, call := range map[string]func(context.Context) error{
				"unseal":      sealed.Unseal,
				"init":        func(ctx context.Context) error { _, err := sealed.Init(ctx, threeSlots, seal.By{}); return err },
				"wait":        sealed.Wait,
				"run":         sealed.Run,
				"refresh":     b.Admin().Refresh,
				"drill":       func(ctx context.Context) error { return b.Admin().Drill(ctx) },
				"rotate":      func(ctx context.Context) error { return b.Rotate(ctx, seal.By{}) },
				"rotate root": func(ctx context.Context) error { return b.Admin().RotateRoot(ctx, seal.By{}) },
				"add": func(ctx context.Context) error {
					_, err := b.Admin().Add(ctx, "x", seal.KMS{Wrapper: "a"}, seal.By{})
					return err
				},
				"prove": func(ctx context.Context) error { _, _, err := b.Admin().Prove(ctx, "auto", seal.By{}); return err },
				"drop": func(ctx context.Context) error {
					_, _, err := b.Admin().Drop(ctx, []string{"other"}, seal.By{})
					return err
				},
				"renew":      func(ctx context.Context) error { return b.Admin().Renew(ctx, "auto", seal.By{}) },
				"drill spec": func(ctx context.Context) error { return b.Admin().DrillSpec(ctx, seal.KMS{Wrapper: "a"}) },
				"restore":    func(ctx context.Context) error { return b.Admin().Restore(ctx, 1, seal.By{}) },
				"submit": func(ctx context.Context) error {
					_, err := sealed.Submit(ctx, v.held[1].Shares[0], seal.By{})
					return err
				},
				"check": func(ctx context.Context) error {
					_, err := b.Admin().CheckShare(ctx, v.held[1].Shares[0], seal.By{})
					return err
				},
				"check while sealed": func(ctx context.Context) error {
					_, err := sealed.Admin().CheckShare(ctx, v.held[1].Shares[0], seal.By{})
					return err
				},
			} {
				calls++
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				begin := time.Now()
				err := call(ctx)
				cancel()
				// Resolving what became of a swap takes one store timeout more.
				if took := time.Since(begin); took > 25*time.Second {
					hung++
					t.Errorf("store=%v, %s: came back after %v with %v", store, name, took, err)
				}
				if err == nil && (name == "unseal" || name == "prove" || name == "wait") {
					t.Errorf("store=%v, %s: succeeded", store, name)
				}
				must(t, v.readable(b))
			}
			close(s.release)
			time.Sleep(time.Minute)
			if err := errors.Join(b.Admin().Refresh(t.Context()), v.readable(b)); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	t.Logf("GUARANTEE 26 no-hang: calls=%d hung=%d", calls, hung)
}
