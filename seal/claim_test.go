package seal_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestAQuorumIsTriedOnceForTheSharesItHas: while its KMS does not answer, a share that
// is given twice asks it no more, to unseal and for an operation alike, and one that
// completes a quorum without the KMS does not wait.
func TestAQuorumIsTriedOnceForTheSharesItHas(t *testing.T) {
	for name, operation := range map[string]bool{"to unseal": false, "for an operation": true} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ctx := t.Context()
				fake := &kmstest.Fake{}
				cfg := seal.Config{Store: seal.NewMemStore(), Retry: kms.Policy{Attempts: 1, Timeout: 2 * time.Hour},
					KMS: map[string]kms.Wrapper{"a": fake.Key("a"), "own": fake.Key("own")}}
				b, err := seal.Open(cfg)
				must(t, err)
				defer func() { b.Close() }()
				specs := map[string]seal.Spec{"tree": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 3, Threshold: 2}, seal.Shamir{Shares: 2, Threshold: 2}}}}
				if operation {
					specs["own"] = seal.KMS{Wrapper: "own"}
				}
				d, err := b.Init(ctx, specs, seal.By{})
				must(t, err)
				by := seal.By{}
				if operation {
					by.Operation, _, err = b.Admin().Prove(ctx, "tree", seal.By{})
					must(t, err)
				} else {
					must(t, b.Close())
					b, err = seal.Open(cfg)
					must(t, err)
				}
				fake.Script(func(c kmstest.Call) kmstest.Fault {
					if c.Key != "a" {
						return kmstest.Fault{}
					}
					return kmstest.Fault{Delay: time.Hour}
				})
				asked := func() (n int) {
					for _, c := range fake.Calls() {
						if c.Op == kmstest.OpUnwrap && c.Key == "a" {
							n++
						}
					}
					return n
				}
				before, start := asked(), time.Now()
				team, other := d.Sets[0].Shares, d.Sets[1].Shares
				if len(team) == 2 {
					team, other = other, team
				}
				_, err = b.Submit(ctx, team[0], by)
				must(t, err)
				var waits sync.WaitGroup
				// given gives a share that has the KMS asked, and waits for nobody.
				given := func(s seal.Share) {
					waits.Go(func() { b.Submit(context.WithoutCancel(ctx), s, by) })
					synctest.Wait()
				}
				given(team[1])
				for range 3 {
					if done, err := b.Submit(ctx, team[1], by); done || !errors.Is(err, seal.ErrShareDuplicate) {
						t.Errorf("given twice: %v, %v", done, err)
					}
				}
				if n := asked() - before; n != 1 || time.Since(start) != 0 {
					t.Fatalf("the KMS was asked %d times for the same shares, and it took %v", n, time.Since(start))
				}
				given(team[2]) // the quorum has more
				if n := asked() - before; n != 2 {
					t.Errorf("with a share more the KMS was asked %d times", n)
				}
				given(other[0])
				if done, err := b.Submit(ctx, other[1], by); !done || err != nil || time.Since(start) != 0 {
					t.Errorf("without the KMS: %v, %v, after %v", done, err, time.Since(start))
				}
				if err := b.Sealed(); err != nil {
					t.Error(err)
				}
				waits.Wait()
			})
		})
	}
}

// TestAQuorumThatFailedIsTriedAgain: the same share, given once more when the KMS is
// back, completes what it is for.
func TestAQuorumThatFailedIsTriedAgain(t *testing.T) {
	for name, operation := range map[string]bool{"to unseal": false, "for an operation": true} {
		t.Run(name, func(t *testing.T) {
			ctx, fake := t.Context(), &kmstest.Fake{}
			cfg := seal.Config{Store: seal.NewMemStore(), Retry: kms.Policy{Attempts: 1},
				KMS: map[string]kms.Wrapper{"a": fake.Key("a"), "own": fake.Key("own")}}
			b, err := seal.Open(cfg)
			must(t, err)
			defer func() { b.Close() }()
			d, err := b.Init(ctx, map[string]seal.Spec{
				"own":  seal.KMS{Wrapper: "own"},
				"tree": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 1, Threshold: 1}}},
			}, seal.By{})
			must(t, err)
			by := seal.By{}
			if operation {
				must(t, b.Unseal(ctx))
				by.Operation, _, err = b.Admin().Prove(ctx, "tree", seal.By{})
				must(t, err)
			} else {
				must(t, b.Close())
				b, err = seal.Open(cfg)
				must(t, err)
			}
			fake.Disable("a")
			if done, err := b.Submit(ctx, d.Sets[0].Shares[0], by); done || err == nil {
				t.Fatalf("without the KMS: %v, %v", done, err)
			}
			fake.Enable("a")
			if done, err := b.Submit(ctx, d.Sets[0].Shares[0], by); !done || err != nil {
				t.Errorf("with it: %v, %v", done, err)
			}
		})
	}
}
