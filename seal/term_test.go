package seal_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// noItems is a source without any.
type noItems struct{ migrate.Source }

func (noItems) Page(context.Context, string, int) ([]migrate.Item, error) { return nil, nil }

// refusedFor checks an error and its words.
func refusedFor(t *testing.T, what string, err, is error, words ...string) {
	t.Helper()
	if !errors.Is(err, is) {
		t.Errorf("%s: %v, want %v", what, err, is)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v, without %q", what, err, w)
		}
	}
}

// TestRetireSaysWhatIsWaitedFor: somebody had rotated, and was told to rotate first;
// and of a term that was retired before was told nothing.
func TestRetireSaysWhatIsWaitedFor(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		b := running(t, seal.Config{
			Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("a")}, Propagation: time.Hour,
		})
		_, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{})
		must(t, err)
		retire := func(what string, term uint32, words ...string) {
			t.Helper()
			lease, err := b.Admin().TakeLease(ctx, time.Minute, nil, seal.By{})
			must(t, err)
			defer lease.End(ctx, "", nil)
			refusedFor(t, what+", check", b.Admin().CheckRetire(ctx, term), seal.ErrTermInUse, words...)
			refusedFor(t, what+", uncounted", b.Admin().RetireUncounted(ctx, term, seal.By{}), seal.ErrTermInUse, words...)
			refusedFor(t, what+", unseen", b.Admin().RetireUnseen(ctx, term, seal.By{}), seal.ErrTermInUse, words...)
			refusedFor(t, what+", counted", migrate.Retire(ctx, b, term, seal.By{}, noItems{}), seal.ErrTermInUse, words...)
			refusedFor(t, what+", leased", lease.Retire(ctx, term), seal.ErrTermInUse, words...)
		}
		time.Sleep(3 * time.Hour)
		retire("the only one", 1, "term 1 is active: rotate, and rewrap, first")
		retire("none", 9, "there is no term 9 yet, the newest is 1")
		refusedFor(t, "activate the active", b.Admin().Activate(ctx, 1, seal.By{}), seal.ErrConfig, "term 1 is active already")
		refusedFor(t, "activate none", b.Admin().ActivateUnseen(ctx, 9, seal.By{}), seal.ErrConfig, "there is no term 9 yet")

		must(t, b.Rotate(ctx, seal.By{}))
		at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		retire("rotated", 1, "term 1 is active until term 2 is, which is passive", "it is activated at "+at+" at the earliest", "wait, or call ActivateUnseen")
		refusedFor(t, "the passive", migrate.Retire(ctx, b, 2, seal.By{}, noItems{}), seal.ErrTermInUse, "term 2 is passive: it is the one that is to encrypt")

		time.Sleep(3 * time.Hour)
		must(t, b.Admin().RetireUncounted(ctx, 1, seal.By{}))
		retire("retired", 1, "term 1 is gone: it was retired already")
		refusedFor(t, "activate what is gone", b.Admin().Activate(ctx, 1, seal.By{}), seal.ErrConfig, "term 1 is gone")
		must(t, b.Rotate(ctx, seal.By{}))
		must(t, b.Admin().ActivateUnseen(ctx, 3, seal.By{}))
		refusedFor(t, "activate an old one", b.Admin().Activate(ctx, 2, seal.By{}), seal.ErrConfig, "term 2 was active before term 3", "rotate")
	})
}

// TestRetireNamesTheReplicaThatIsWaitedFor, which only a warning of Status did.
func TestRetireNamesTheReplicaThatIsWaitedFor(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		f, _ := newRosterFleet(t, nil)
		defer f.end()
		a := f.replica("a")
		f.freeze("c")
		must(t, a.Rotate(ctx, seal.By{}))
		settle(4 * rosterPropagation)
		for name, err := range map[string]error{
			"check": a.Admin().CheckRetire(ctx, 1), "uncounted": a.Admin().RetireUncounted(ctx, 1, seal.By{}), "counted": migrate.Retire(ctx, a, 1, seal.By{}, noItems{}),
		} {
			refusedFor(t, name, err, seal.ErrTermInUse, "term 1 is active until term 2 is", `not taken in yet by replica "c"`, "mend or end it", "waited for until 2000-01-01T00:1", "call ActivateUnseen")
			if strings.Contains(err.Error(), "rotate") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestDropOfTheLastSlotSaysWhatToDo.
func TestDropOfTheLastSlotSaysWhatToDo(t *testing.T) {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("a")}})
	must(t, err)
	defer b.Close()
	_, err = b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{})
	must(t, err)
	_, _, err = b.Admin().Drop(t.Context(), []string{"auto"}, seal.By{})
	refusedFor(t, "drop", err, seal.ErrLastSlot, "add another one, and prove it")
}
