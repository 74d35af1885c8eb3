package seal_test

import (
	"errors"
	"regexp"
	"testing"

	"github.com/sealwright/sealwright/seal"
)

// TestAnchorOfAnEarlierVersion: an anchor that names no data key still tells old
// records, and gets one with the next change.
func TestAnchorOfAnEarlierVersion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b, anchor := anchored(ctx, t)
		older := v.stored(ctx)
		must(t, b.Rotate(ctx, seal.By{}))
		b.Close()
		two := regexp.MustCompile(`"anchor":2(.*),"term":"[0-9a-f]{64}"`)
		text, rev, err := anchor.Load(ctx)
		must(t, err)
		if !two.Match(text) {
			t.Fatalf("the anchor is %s", text)
		}
		_, err = anchor.Swap(ctx, two.ReplaceAll(text, []byte(`"anchor":1$1`)), rev)
		must(t, err)
		stored := v.stored(ctx)
		v.put(ctx, older)
		b = v.boot()
		if err := v.unseal(ctx, b); !errors.Is(err, seal.ErrRolledBack) {
			t.Errorf("an older record: %v", err)
		}
		b.Close()
		v.put(ctx, stored)
		b = v.boot()
		defer b.Close()
		must(t, v.unseal(ctx, b))
		must(t, b.Rotate(ctx, seal.By{}))
		if now := moored(ctx, t, anchor); !two.MatchString(now) {
			t.Errorf("after a change the anchor is %s", now)
		}
	})
}

// TestAnchorOfARetiredTerm: a process that was away while the data key it knew was
// retired is told what to do, and that helps.
func TestAnchorOfARetiredTerm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b, anchor := anchored(ctx, t)
		held, _, err := anchor.Load(ctx)
		must(t, err)
		term := b.Status().Terms[0].Number
		must(t, b.Rotate(ctx, seal.By{}))
		must(t, b.Admin().RetireUncounted(ctx, term, seal.By{}))
		b.Close()
		old := seal.NewMemStore()
		_, err = old.Swap(ctx, held, "")
		must(t, err)
		v.anchor = old
		b = v.boot()
		err = v.unseal(ctx, b)
		if !errors.Is(err, seal.ErrForked) || !regexp.MustCompile("take away its anchor").MatchString(err.Error()) {
			t.Errorf("%v", err)
		}
		b.Close()
		v.anchor = seal.NewMemStore()
		b = v.boot()
		defer b.Close()
		must(t, v.unseal(ctx, b))
	})
}
