package seal_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A pair is two unsealed replicas of a store that people alone open.
type pair struct {
	store    *seal.MemStore
	fake     *kmstest.Fake
	shares   []seal.Share
	one, two *seal.Barrier
	behind   int // events of the second that it cannot follow
}

func newPair(t *testing.T, slots map[string]seal.Spec, propagation time.Duration) *pair {
	p := &pair{store: seal.NewMemStore(), fake: &kmstest.Fake{}}
	open := func(replica string) *seal.Barrier {
		b, err := seal.Open(seal.Config{
			Store: p.store, Replica: replica, Propagation: propagation, Drill: -1, Retry: kms.Policy{Attempts: 1},
			KMS: map[string]kms.Wrapper{"a": p.fake.Key("a")},
			OnEvent: func(e seal.Event) {
				if replica == "two" && e.Kind == seal.EventBehind && e.Err != nil {
					p.behind++
				}
			},
		})
		must(t, err)
		t.Cleanup(func() { b.Close() })
		return b
	}
	p.one, p.two = open("one"), open("two")
	d, err := p.one.Init(t.Context(), slots, seal.By{})
	must(t, err)
	p.shares = d.Sets[0].Shares
	for _, b := range []*seal.Barrier{p.one, p.two} {
		for _, s := range p.shares[:2] {
			_, err := b.Submit(t.Context(), s, seal.By{})
			must(t, err)
		}
		if b.Status().Sealed {
			t.Fatal(b.Status().Reason)
		}
	}
	return p
}

// rekey replaces the people's shares on the first replica.
func (p *pair) rekey(t *testing.T) {
	ctx := t.Context()
	d, err := p.one.Admin().Rekey(ctx, "people", two, seal.By{})
	must(t, err)
	op, _, err := p.one.Admin().Prove(ctx, "people", seal.By{})
	must(t, err)
	p.shares = d.Sets[0].Shares
	for _, s := range p.shares[:2] {
		_, err := p.one.Submit(ctx, s, seal.By{Operation: op})
		must(t, err)
	}
}

var peopleAlone = map[string]seal.Spec{"people": two}

// TestAReplicaThatCannotFollowSaysSo: after a rekey elsewhere it was ready, warned
// of nothing, took the new shares with a nod, and could not read what the others
// wrote, for ever.
func TestAReplicaThatCannotFollowSaysSo(t *testing.T) {
	ctx := t.Context()
	p := newPair(t, peopleAlone, 0)
	old := p.shares[0]
	p.rekey(t)
	ct, err := p.one.Keyring().Encrypt(nil, []byte("written elsewhere"), nil)
	must(t, err)
	if _, err := p.two.Admin().Decrypt(ctx, nil, ct, nil); !errors.Is(err, seal.ErrRootMoved) || !strings.Contains(err.Error(), "give this process the shares") {
		t.Fatalf("decrypt: %v", err)
	}
	s := p.two.Status()
	if !errors.Is(s.Behind, seal.ErrRootMoved) || s.BehindSince.IsZero() || s.Sealed || p.behind != 1 {
		t.Errorf("behind %v since %v, %d events", s.Behind, s.BehindSince, p.behind)
	}
	if warnings := strings.Join(s.Warnings, "\n"); !strings.Contains(warnings, "cannot take in the stored record") {
		t.Errorf("warnings: %s", warnings)
	}
	var wrong *seal.ShareError
	if _, err := p.two.Submit(ctx, old, seal.By{}); !errors.As(err, &wrong) || wrong.Kind != seal.ErrShareStale {
		t.Errorf("an old share: %v", err)
	}
	for i, share := range p.shares[:2] {
		done, err := p.two.Submit(ctx, share, seal.By{})
		must(t, err)
		if s := p.two.Status(); i == 0 && (done || len(s.Progress) != 1 || s.Progress[0].Given != 1) {
			t.Errorf("done: %v, progress %v", done, s.Progress)
		}
		if i == 1 && !done {
			t.Error("the new record is open, and the share did not do it")
		}
	}
	if s := p.two.Status(); s.Behind != nil || s.Sealed || s.Generation != p.one.Status().Generation {
		t.Errorf("behind %v at generation %d", s.Behind, s.Generation)
	}
	out, err := p.two.Admin().Decrypt(ctx, nil, ct, nil)
	if err != nil || string(out) != "written elsewhere" {
		t.Errorf("decrypt: %v", err)
	}
}

// TestWhateverMovesTheRootElsewhere leaves a replica behind that says so: a drop,
// a new root key, a restore.
func TestWhateverMovesTheRootElsewhere(t *testing.T) {
	for name, move := range map[string]func(context.Context, *testing.T, *pair){
		"a rekey":        func(_ context.Context, t *testing.T, p *pair) { p.rekey(t) },
		"a new root key": func(ctx context.Context, t *testing.T, p *pair) { must(t, p.one.Admin().RotateRoot(ctx, seal.By{})) },
		"a pending slot dropped": func(ctx context.Context, t *testing.T, p *pair) {
			_, err := p.one.Admin().Add(ctx, "more", two, seal.By{})
			must(t, err)
			_, _, err = p.one.Admin().Drop(ctx, []string{"more"}, seal.By{}, seal.SlotPending)
			must(t, err)
		},
	} {
		p := newPair(t, peopleAlone, 0)
		move(t.Context(), t, p)
		if err := p.two.Admin().Refresh(t.Context()); !errors.Is(err, seal.ErrRootMoved) {
			t.Errorf("%s: %v", name, err)
		}
		if p.two.Status().Behind == nil || p.behind != 1 {
			t.Errorf("%s: nothing is said", name)
		}
		if err := p.two.Admin().Refresh(t.Context()); err == nil || p.behind != 1 {
			t.Errorf("%s: said %d times", name, p.behind)
		}
		must(t, p.two.Seal(seal.By{}))
		if p.two.Status().Behind != nil {
			t.Errorf("%s: sealed, and behind", name)
		}
	}
}

// TestAKMSThatComesBackLetsAReplicaFollow, by Run alone: the store tells of no
// further change.
func TestAKMSThatComesBackLetsAReplicaFollow(t *testing.T) {
	virtual(t, func(t *testing.T) {
		p := newPair(t, map[string]seal.Spec{"people": two, "auto": key("a")}, 0)
		defer p.one.Close()
		defer p.two.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go p.two.Run(ctx)
		p.fake.Disable("a")
		must(t, p.one.Admin().RotateRoot(ctx, seal.By{}))
		time.Sleep(time.Minute)
		if !errors.Is(p.two.Status().Behind, seal.ErrRootMoved) {
			t.Fatalf("behind %v", p.two.Status().Behind)
		}
		p.fake.Enable("a")
		time.Sleep(2 * time.Minute)
		if s := p.two.Status(); s.Behind != nil || s.Generation != p.one.Status().Generation {
			t.Errorf("still behind: %v", s.Behind)
		}
	})
}

// TestARootRotationLooksWhetherOthersFollow: in a store of people alone it
// stranded every other replica without a word.
func TestARootRotationLooksWhetherOthersFollow(t *testing.T) {
	ctx := t.Context()
	p := newPair(t, peopleAlone, time.Minute)
	before := p.one.Status().Generation
	if err := p.one.Admin().RotateRoot(ctx, seal.By{}); !errors.Is(err, seal.ErrStrands) || !strings.Contains(err.Error(), "no slot opens the store without people") {
		t.Errorf("people alone: %v", err)
	}
	if p.one.Status().Generation != before {
		t.Error("it changed something")
	}
	must(t, p.one.Admin().RotateRootStranding(ctx, seal.By{}))

	p = newPair(t, map[string]seal.Spec{"people": two, "auto": key("a")}, time.Minute)
	must(t, p.one.Admin().RotateRoot(ctx, seal.By{}))
	p.fake.Disable("a")
	_ = p.one.Admin().Drill(ctx)
	if err := p.one.Admin().RotateRoot(ctx, seal.By{}); !errors.Is(err, seal.ErrStrands) || !strings.Contains(err.Error(), `slot "auto" did not open the store`) {
		t.Errorf("a slot that a drill found dead: %v", err)
	}
}

// TestNothingIsRetiredUnderAReplicaThatStillWrites: rotate, activate and retire at
// once, and what another replica went on writing was lost.
func TestNothingIsRetiredUnderAReplicaThatStillWrites(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		const propagation = time.Minute
		p := newPair(t, peopleAlone, propagation)
		defer p.one.Close()
		defer p.two.Close()
		must(t, p.one.Rotate(ctx, seal.By{}))
		if err := p.one.Admin().Activate(ctx, 2, seal.By{}); !errors.Is(err, seal.ErrPropagating) || !strings.Contains(err.Error(), "may not have term 2 yet: wait 1m0s") {
			t.Errorf("activate at once: %v", err)
		}
		time.Sleep(propagation)
		must(t, p.one.Admin().Activate(ctx, 2, seal.By{}))
		for name, retire := range map[string]func() error{
			"retire": func() error { return p.one.Admin().RetireUncounted(ctx, 1, seal.By{}) },
			"check":  func() error { return p.one.Admin().CheckRetire(ctx, 1) },
		} {
			if err := retire(); !errors.Is(err, seal.ErrPropagating) || !strings.Contains(err.Error(), "may still write under term 1") {
				t.Errorf("%s at once: %v", name, err)
			}
		}
		ct, err := p.two.Keyring().Encrypt(nil, []byte("late"), nil) // it has not looked yet
		must(t, err)
		if out, err := p.one.Admin().Decrypt(ctx, nil, ct, nil); err != nil || string(out) != "late" {
			t.Errorf("%v", err)
		}
		time.Sleep(propagation)
		must(t, p.one.Admin().RetireUncounted(ctx, 1, seal.By{}))

		// The other one has not looked in all the time: it takes the record in, and
		// writes under a term that is there.
		must(t, p.two.Admin().Refresh(ctx))
		ct, err = p.two.Keyring().Encrypt(nil, []byte("after"), nil)
		must(t, err)
		if out, err := p.one.Admin().Decrypt(ctx, nil, ct, nil); err != nil || string(out) != "after" {
			t.Errorf("written under a retired term: %v", err)
		}
		if err := p.one.Admin().CheckRetire(ctx, 2); !errors.Is(err, seal.ErrTermInUse) {
			t.Errorf("the active term: %v", err)
		}
	})
}
