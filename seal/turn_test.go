package seal_test

import (
	"context"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// TestAHandlerKeepsNobodyFromTheRecord: whatever is told, another caller gets at
// the record while the host's handler takes its time.
func TestAHandlerKeepsNobodyFromTheRecord(t *testing.T) {
	for kind, cause := range map[seal.EventKind]func(ctx context.Context, t *testing.T, v *vault, b *seal.Barrier){
		seal.EventRefresh: func(ctx context.Context, t *testing.T, v *vault, b *seal.Barrier) {
			must(t, v.unseal(ctx, b))
			other := v.boot()
			defer other.Close()
			must(t, v.unseal(ctx, other))
			must(t, other.Rotate(ctx, seal.By{}))
			must(t, b.Admin().Refresh(ctx))
		},
		seal.EventStore: func(ctx context.Context, t *testing.T, v *vault, b *seal.Barrier) {
			must(t, v.unseal(ctx, b))
			loads, swaps := v.faulty.Calls()
			v.faulty.OnSwap = map[int]storetest.Fault{swaps + 1: {Effect: storetest.FailAfter}}
			v.faulty.OnLoad = map[int]storetest.Fault{}
			for k := loads + 2; k < loads+200; k++ {
				v.faulty.OnLoad[k] = storetest.Fault{Effect: storetest.FailBefore}
			}
			if err := b.Rotate(ctx, seal.By{}); err == nil {
				t.Error("the outcome is known")
			}
		},
		seal.EventProve: func(ctx context.Context, t *testing.T, v *vault, b *seal.Barrier) {
			must(t, v.gather(ctx, b, seal.By{}))
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ctx := t.Context()
				v := newVault(t, seal.NewMemStore())
				maker := v.boot()
				d, err := maker.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 2, Threshold: 2}}, seal.By{})
				must(t, err)
				must(t, v.take(d))
				maker.Close()
				if kind != seal.EventProve {
					b := v.boot()
					must(t, v.unseal(ctx, b))
					b.Close()
				}
				told := 0
				var b *seal.Barrier
				b, err = seal.Open(seal.Config{Store: v.faulty, KMS: v.own(), Retry: kms.Policy{Attempts: 1}, OnEvent: func(e seal.Event) {
					if e.Kind != kind {
						return
					}
					told++
					got := make(chan struct{})
					go func() {
						_, _ = b.Admin().CheckShare(ctx, v.sharesOf(t, 1)[0], seal.By{}) // loads the record, in its turn
						close(got)
					}()
					select {
					case <-got:
					case <-time.After(time.Hour):
						t.Error("the record was kept while the handler worked")
					}
				}})
				must(t, err)
				defer b.Close()
				cause(ctx, t, v, b)
				if told == 0 {
					t.Error("nothing was told")
				}
			})
		})
	}
}
