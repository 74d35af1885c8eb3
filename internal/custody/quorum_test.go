package custody_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// give adds the first n shares of each leaf.
func give(t *testing.T, q *custody.Quorum, f *fixture, slot string, n ...int) {
	t.Helper()
	for leaf, n := range n {
		for _, s := range f.shares[slot][leaf][:n] {
			if got, err := q.Add(f.rec, s); err != nil || got.Name != slot {
				t.Fatalf("slot %v, %v", got, err)
			}
		}
	}
}

// TestSufficesAndConsented counts shares around every threshold: Suffices says
// whether the tree could open, its KMS willing, and Consented whether any set of
// people is complete.
func TestSufficesAndConsented(t *testing.T) {
	for name, tt := range map[string]struct {
		spec                record.Spec
		given               []int // of each leaf that people hold
		suffices, consented bool
	}{
		"nobody of one":                  {people(1, 1), []int{0}, false, false},
		"the only one":                   {people(1, 1), []int{1}, true, true},
		"one too few":                    {people(3, 2), []int{1}, false, false},
		"just enough":                    {people(3, 2), []int{2}, true, true},
		"more than enough":               {people(3, 2), []int{3}, true, true},
		"a key alone":                    {onKMS("a"), nil, true, false},
		"two keys":                       {tree(2, onKMS("a"), onKMS("b")), nil, true, false},
		"keys or people, none":           {tree(2, onKMS("a"), onKMS("b"), people(2, 2)), []int{0}, true, false},
		"keys or people, one too few":    {tree(2, onKMS("a"), onKMS("b"), people(2, 2)), []int{1}, true, false},
		"keys or people, all":            {tree(2, onKMS("a"), onKMS("b"), people(2, 2)), []int{2}, true, true},
		"a key and people, one too few":  {tree(2, onKMS("a"), people(2, 2)), []int{1}, false, false},
		"a key and people":               {tree(2, onKMS("a"), people(2, 2)), []int{2}, true, true},
		"two teams, one":                 {tree(2, people(2, 2), people(2, 2)), []int{2, 1}, false, true},
		"two teams, both one too few":    {tree(2, people(2, 2), people(2, 2)), []int{1, 1}, false, false},
		"two teams":                      {tree(2, people(2, 2), people(2, 2)), []int{2, 2}, true, true},
		"two of three teams, the others": {tree(2, people(2, 2), people(2, 2), people(1, 1)), []int{1, 2, 1}, true, true},
		"a team of teams, one too few":   {tree(2, onKMS("a"), tree(2, people(1, 1), people(2, 2))), []int{1, 1}, false, true},
		"a team of teams":                {tree(2, onKMS("a"), tree(2, people(1, 1), people(2, 2))), []int{1, 2}, true, true},
		"two of three, keys and nobody":  {tree(2, onKMS("a"), people(1, 1), people(1, 1)), []int{0, 0}, false, false},
		"two of three, keys and a team":  {tree(2, onKMS("a"), people(1, 1), people(1, 1)), []int{0, 1}, true, true},
		"two of three, both people":      {tree(2, onKMS("a"), people(1, 1), people(1, 1)), []int{1, 1}, true, true},
		"all of three, one team missing": {tree(3, onKMS("a"), people(1, 1), people(1, 1)), []int{1, 0}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, shape{"other", people(3, 3)}, shape{"tree", tt.spec})
			q := &custody.Quorum{}
			give(t, q, f, "other", 3) // which count for their own slot alone
			give(t, q, f, "tree", tt.given...)
			node := &f.slots["tree"].Tree
			if got := q.Suffices(node); got != tt.suffices {
				t.Errorf("suffices %v", got)
			}
			if got := q.Consented(node); got != tt.consented {
				t.Errorf("consented %v", got)
			}
			opened := opens(t, f, q)
			if opened != tt.suffices {
				t.Errorf("it opens: %v", opened)
			}
		})
	}
}

// opens reports whether the slot of that name opens with the shares: what
// Suffices says must be so.
func opens(t *testing.T, f *fixture, q *custody.Quorum) bool {
	t.Helper()
	keys := custody.NewKeys(map[string]kms.Wrapper{"a": mirror{}, "b": mirror{}}, kms.Policy{Attempts: 1}, time.Second)
	a, err := keys.Open(t.Context(), f.rec, f.slots["tree"], q)
	if err != nil {
		if !errors.Is(err, custody.ErrNeedsPeople) {
			t.Errorf("%v", err)
		}
		return false
	}
	a.Wipe()
	return true
}

func TestAdd(t *testing.T) {
	f := newFixture(t, shape{"people", people(3, 2)})
	s := f.shares["people"][0]
	q := &custody.Quorum{}
	for i, step := range []struct {
		what  string
		share custody.Share
		kind  error
		len   int
	}{
		{"one", s[0], nil, 1},
		{"the same again", s[0], custody.ErrShareDuplicate, 1},
		{"the same in bare form", raw(s[0]), custody.ErrShareDuplicate, 1},
		{"another in bare form", raw(s[1]), nil, 2},
		{"that one again in bare form", raw(s[1]), custody.ErrShareDuplicate, 2},
		{"a wrong one", altered(s[2]), custody.ErrShareAltered, 2},
		{"the last one", s[2], nil, 3},
	} {
		if _, err := q.Add(f.rec, step.share); kindOf(err) != step.kind || q.Len() != step.len {
			t.Errorf("%d, %s: %v, and %d shares", i, step.what, err, q.Len())
		}
	}
	s[0].Y.Wipe() // whoever gave it may
	f.slots["tree"] = f.slots["people"]
	if !opens(t, f, q) {
		t.Error("the quorum has no copies of its own")
	}
}

// TestATextShareAfterItsBareForm: custodians who gave Vault's bare form and were
// told that it needs a pin give the text, which needs none. It was refused as
// given already.
func TestATextShareAfterItsBareForm(t *testing.T) {
	f := newFixture(t, shape{"tree", people(2, 2)})
	keys := custody.NewKeys(nil, kms.Policy{Attempts: 1}, time.Second)
	q := &custody.Quorum{}
	vouched := func() bool {
		a, err := keys.Open(t.Context(), f.rec, f.slots["tree"], q)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Wipe()
		return a.People
	}
	for _, s := range f.shares["tree"][0] {
		if _, err := q.Add(f.rec, raw(s)); err != nil {
			t.Fatal(err)
		}
	}
	if vouched() {
		t.Fatal("bare shares name their slot")
	}
	if _, err := q.Add(f.rec, f.shares["tree"][0][0]); err != nil {
		t.Errorf("the text of a share that was given bare: %v", err)
	}
	if q.Len() != 2 || !vouched() {
		t.Errorf("%d shares, and they vouch: %v", q.Len(), vouched())
	}
	if _, err := q.Add(f.rec, raw(f.shares["tree"][0][0])); kindOf(err) != custody.ErrShareDuplicate {
		t.Errorf("the bare form of a text that was given: %v", err)
	}
}

// TestClaim: a quorum is tried once for the shares it has, by one caller at a time,
// and again when it has more, or when whoever tried it has come back.
func TestClaim(t *testing.T) {
	f := newFixture(t, shape{"tree", tree(2, people(3, 2), people(4, 2))}, shape{"other", people(2, 2)})
	q := &custody.Quorum{}
	var releases []func()
	var ok bool
	claim := func(slot string) func() {
		return func() {
			var release func()
			if release, ok = q.Claim(f.slots[slot]); ok {
				releases = append(releases, release)
			}
		}
	}
	add := func(slot string, leaf, i int) func() {
		return func() {
			if _, err := q.Add(f.rec, f.shares[slot][leaf][i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	release := func(i int) func() { return func() { releases[i]() } }
	const may, mayNot = 1, -1 // 0: not asked
	for i, step := range []struct {
		what string
		do   func()
		want int
	}{
		{"with no share", claim("tree"), mayNot},
		{"a share", add("tree", 0, 0), 0},
		{"a share of the other leaf", add("tree", 1, 0), 0},
		{"with two", claim("tree"), may}, // 0
		{"the same two", claim("tree"), mayNot},
		{"a share of another slot", add("other", 0, 0), 0},
		{"which counts for its own alone", claim("tree"), mayNot},
		{"and is another's to try", claim("other"), may}, // 1
		{"a share more", add("tree", 1, 1), 0},
		{"whoever has more does not wait", claim("tree"), may}, // 2
		{"the same three", claim("tree"), mayNot},
		{"the one with two comes back", release(0), 0},
		{"the one with three does not", claim("tree"), mayNot},
		{"now it does", release(2), 0},
		{"the same three once more", claim("tree"), may}, // 3
		{"and the other slot is tried yet", claim("other"), mayNot},
		{"it comes back too", release(1), 0},
		{"and may be tried", claim("other"), may},
		{"and not the first", claim("tree"), mayNot},
		{"a share more of its first leaf", add("tree", 0, 1), 0},
		{"counts as well", claim("tree"), may},
	} {
		step.do()
		if step.want != 0 && ok != (step.want == may) {
			t.Fatalf("step %d, %s: %v", i, step.what, ok)
		}
	}
}

// TestOneOfManyClaims: whoever completes a quorum at the same time.
func TestOneOfManyClaims(t *testing.T) {
	f := newFixture(t, shape{"tree", people(2, 2)})
	q := &custody.Quorum{}
	give(t, q, f, "tree", 2)
	var claims atomic.Int32
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			if _, ok := q.Claim(f.slots["tree"]); ok {
				claims.Add(1)
			}
		})
	}
	group.Wait()
	if n := claims.Load(); n != 1 {
		t.Errorf("%d callers may try the same shares", n)
	}
}

// TestEachHasItsTime: a share that was given elsewhere is as old as it was there, and
// the oldest of a set is told.
func TestEachHasItsTime(t *testing.T) {
	f := newFixture(t, shape{"people", people(3, 2)}, shape{"other", people(2, 2)})
	q := &custody.Quorum{}
	q.Each(func(custody.Share, time.Time) { t.Error("a share of nobody") })
	begun := time.Unix(1e9, 0)
	want := map[string]time.Time{}
	for i, s := range append(slices.Clone(f.shares["people"][0]), f.shares["other"][0][0]) {
		at := begun.Add(-time.Duration(i) * time.Hour)
		if slot, err := q.AddAt(f.rec, s, at); err != nil || slot == nil {
			t.Fatal(err)
		}
		want[fmt.Sprint(s.Set, s.X)] = at
	}
	got := map[string]time.Time{}
	q.Each(func(s custody.Share, at time.Time) {
		if y := s.Y.Reveal(); len(y) != custody.SeedSize {
			t.Error("it is wiped")
		}
		got[fmt.Sprint(s.Set, s.X)] = at
	})
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if one, other := q.Oldest(1), q.Oldest(2); !one.Equal(begun.Add(-2*time.Hour)) || !other.Equal(begun.Add(-3*time.Hour)) || q.Count(1) != 3 || q.Count(2) != 1 {
		t.Errorf("%d since %v, %d since %v", q.Count(1), one, q.Count(2), other)
	}
}

func TestSift(t *testing.T) {
	f := newFixture(t, shape{"gone", people(2, 2)}, shape{"stays", people(2, 2)})
	q := &custody.Quorum{}
	give(t, q, f, "gone", 2)
	give(t, q, f, "stays", 1)
	q.Sift(f.rec)
	if q.Len() != 3 {
		t.Errorf("%d shares of a record that has them all", q.Len())
	}
	f.drop("gone")
	q.Sift(f.rec)
	if q.Len() != 1 || q.Count(1) != 0 || q.Count(2) != 1 {
		t.Errorf("%d shares after a drop", q.Len())
	}
	q.Sift(&record.Record{Store: storeID})
	if q.Len() != 0 {
		t.Errorf("%d shares of a record without slots", q.Len())
	}
}

func TestExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, shape{"people", people(3, 3)})
		q := &custody.Quorum{}
		if gone, oldest := q.Expire(time.Now()); gone != 0 || !oldest.IsZero() {
			t.Errorf("of nothing: %d, %v", gone, oldest)
		}
		begun := time.Now()
		for _, s := range f.shares["people"][0] {
			if _, err := q.Add(f.rec, s); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		if got := q.Oldest(1); !got.Equal(begun) {
			t.Errorf("the oldest is of %v", got)
		}
		for _, tt := range []struct {
			before       time.Duration
			gone, left   int
			oldest       time.Duration
			nothingsLeft bool
		}{
			{-time.Second, 0, 3, 0, false},
			{0, 1, 2, time.Hour, false},
			{time.Hour - 1, 0, 2, time.Hour, false},
			{2 * time.Hour, 2, 0, 0, true},
		} {
			gone, oldest := q.Expire(begun.Add(tt.before))
			if gone != tt.gone || q.Len() != tt.left || oldest.IsZero() != tt.nothingsLeft || !tt.nothingsLeft && !oldest.Equal(begun.Add(tt.oldest)) {
				t.Errorf("before %v: %d gone, %d left, the oldest of %v", tt.before, gone, q.Len(), oldest)
			}
		}
		if !q.Oldest(1).IsZero() {
			t.Error("there is an oldest of none")
		}
	})
}

// TestAQuorumThatEndedTakesNothing: nobody would wipe what came later.
func TestAQuorumThatEndedTakesNothing(t *testing.T) {
	f := newFixture(t, shape{"people", people(2, 2)})
	why := errors.New("sealed")
	wiped := &custody.Quorum{}
	give(t, wiped, f, "people", 1)
	wiped.Wipe(why)
	for name, q := range map[string]*custody.Quorum{"ended": custody.Ended(why), "wiped": wiped} {
		slot, err := q.Add(f.rec, f.shares["people"][0][1])
		if !errors.Is(err, why) || slot == nil || q.Len() != 0 || !strings.Contains(err.Error(), "the share was not kept") {
			t.Errorf("%s: %v, %d shares", name, err, q.Len())
		}
	}
}
