package seal_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// Of two replicas that activate a term at the same time, one told of a failure each
// time: that "term 2 is not waiting to be activated". And no event said which term.
func TestWhoIsSecondToActivateHasNotFailed(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store, fake := seal.NewMemStore(), &kmstest.Fake{}
		var events []string
		all := map[string]*seal.Barrier{}
		for _, name := range []string{"one", "two", "three"} {
			b, err := seal.Open(seal.Config{
				Store: store, Replica: name, Propagation: 30 * time.Second, Poll: time.Minute, Drill: -1,
				KMS: map[string]kms.Wrapper{"a": fake.Key("a")},
				OnEvent: func(e seal.Event) {
					switch e.Kind {
					case seal.EventRotate, seal.EventActivate, seal.EventRetire:
						events = append(events, fmt.Sprintf("%s, %s: %v", e.Kind, e.Detail, e.Err))
					}
				},
			})
			must(t, err)
			all[name] = b
		}
		_, err := all["one"].Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		for _, b := range all {
			go b.Run(ctx)
		}
		time.Sleep(2*time.Minute + time.Second)
		must(t, all["one"].Rotate(ctx, seal.By{}))
		for _, b := range all {
			must(t, b.Admin().Refresh(ctx))
		}
		time.Sleep(5 * time.Minute)
		must(t, all["one"].Admin().RetireUncounted(ctx, 1, seal.By{}))
		_, err = all["one"].Admin().RotateFrom(ctx, 2, seal.By{})
		must(t, err)
		if err := all["two"].Admin().Activate(ctx, 2, seal.By{}); err == nil {
			t.Error("activated twice, by an operator: he is told of it")
		}
		want := []string{"rotate, term 2: <nil>", "activate, term 2: <nil>", "retire, term 1: <nil>", "rotate, term 3: <nil>",
			"activate, term 2: seal: configuration: activate: term 2 is active already"}
		if !slices.Equal(events, want) {
			t.Errorf("events %q,\nwant %q", events, want)
		}
		cancel()
		for _, b := range all {
			b.Close()
		}
	})
}

// Of replicas whose drills found the same new version of a key, one renews the slot;
// the others told of a failure.
func TestWhoIsSecondToRenewHasNotFailed(t *testing.T) {
	store, fake := seal.NewMemStore(), &kmstest.Fake{}
	var events []string
	var all []*seal.Barrier
	for _, name := range []string{"one", "two"} {
		b, err := seal.Open(seal.Config{
			Store: store, Replica: name, Drill: -1, KMS: map[string]kms.Wrapper{"a": fake.Key("a")},
			OnEvent: func(e seal.Event) {
				if e.Kind == seal.EventRenew {
					events = append(events, fmt.Sprintf("%s: %v", e.Replica, e.Err))
				}
			},
		})
		must(t, err)
		defer b.Close()
		all = append(all, b)
	}
	ctx := t.Context()
	_, err := all[0].Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
	must(t, err)
	must(t, all[1].Unseal(ctx))
	fake.Rotate("a")
	for _, b := range all {
		must(t, b.Admin().Drill(ctx))
	}
	for _, b := range all {
		b.FollowVersions(ctx)
		if w := strings.Join(b.Status().Warnings, "\n"); strings.Contains(w, "version 1 is stored") {
			t.Errorf("warnings %q of a slot that is renewed", w)
		}
	}
	if want := []string{"one: <nil>"}; !slices.Equal(events, want) {
		t.Errorf("events %q, want %q", events, want)
	}
}
