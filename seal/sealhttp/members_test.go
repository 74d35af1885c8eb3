package sealhttp_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// TestMembersAreCounted: the other replicas of a roster, and those of them that
// cannot follow.
func TestMembersAreCounted(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer end()
		store, roster := seal.NewMemStore(), seal.NewMemStore()
		open := func(replica string) *seal.Barrier {
			b, err := seal.Open(seal.Config{Store: store, Roster: roster, Replica: replica, Propagation: time.Minute, Drill: -1})
			if err != nil {
				t.Fatal(err)
			}
			go b.Run(ctx)
			return b
		}
		a, b := open("a"), open("b")
		defer a.Close()
		defer b.Close()
		d, err := a.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
		if err != nil {
			t.Fatal(err)
		}
		for _, barrier := range []*seal.Barrier{a, b} {
			for _, s := range d.Sets[0].Shares[:2] {
				if _, err := barrier.Submit(ctx, s, seal.By{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		check := func(want ...string) {
			t.Helper()
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			got := slices.DeleteFunc(scrape(t, &sealhttp.Metrics{}, a), func(line string) bool { return !strings.HasPrefix(line, "members") })
			if !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
		check("members 1", "members_behind 0")
		if err := a.Admin().RotateRootStranding(ctx, seal.By{}); err != nil {
			t.Fatal(err)
		}
		check("members 1", "members_behind 1")
		b.Close()
		check("members 0", "members_behind 0") // who has left is no member, and the series go on
	})
}
