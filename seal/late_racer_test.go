package seal_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A lateWrapper answers, once it is to be late, when nobody needs the answer any more:
// it does not look whether its context has ended.
type lateWrapper struct {
	kms.Wrapper
	late atomic.Bool
	by   atomic.Int64 // nanoseconds
}

func (w *lateWrapper) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	if w.late.Load() {
		<-ctx.Done()
		time.Sleep(time.Duration(w.by.Load()))
		ctx = context.WithoutCancel(ctx)
	}
	return w.Wrapper.Unwrap(ctx, blob, b)
}

// Of the slots that are asked for the proof of a drop, one that answers after another
// has given it compares its answer with a root key of its own: that of the drop is
// wiped by then, or at that very moment.
func TestALateProofIsNoRace(t *testing.T) {
	ctx, fake := t.Context(), &kmstest.Fake{}
	late := &lateWrapper{Wrapper: fake.Key("late")}
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(), HeadStart: time.Millisecond, Drill: -1, Retry: kms.Policy{Attempts: 1},
		KMS: map[string]kms.Wrapper{"late": late, "quick": fake.Key("quick"), "other": fake.Key("other")},
	})
	must(t, err)
	t.Cleanup(func() { b.Close() })
	_, err = b.Init(ctx, map[string]seal.Spec{"late": seal.KMS{Wrapper: "late"}, "quick": seal.KMS{Wrapper: "quick"}}, seal.By{})
	must(t, err)
	for _, name := range []string{"late", "quick"} {
		_, _, err := b.Admin().Prove(ctx, name, seal.By{})
		must(t, err)
	}
	for i := range 20 {
		name := fmt.Sprint("gone-", i)
		_, err := b.Admin().Add(ctx, name, seal.KMS{Wrapper: "other"}, seal.By{})
		must(t, err)
		_, _, err = b.Admin().Prove(ctx, name, seal.By{})
		must(t, err)
		late.by.Store(int64(i) * int64(100*time.Microsecond))
		late.late.Store(true)
		_, done, err := b.Admin().Drop(ctx, []string{name}, seal.By{})
		if err != nil || !done {
			t.Fatalf("dropped %t, %v", done, err)
		}
		late.late.Store(false)
	}
}
