package custody_test

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/secret"
)

// TestMatch has every verdict on a share, in text and in Vault's bare form, with
// other slots before and after its own: none of them may have a say in it.
func TestMatch(t *testing.T) {
	f := newFixture(t,
		shape{"gone", people(3, 2)},
		shape{"first", people(3, 2)},
		shape{"teams", tree(2, people(2, 2), people(2, 2))},
		shape{"last", people(2, 2)},
	)
	other := newFixture(t, shape{"first", people(3, 2)})
	f.drop("gone")
	of := func(slot string, leaf, i int) custody.Share { return f.shares[slot][leaf][i] }
	elsewhere := func(s custody.Share, set uint32) custody.Share { s.Set = set; return s }
	numbered := func(s custody.Share, x byte) custody.Share { s.X = x; return s }
	named := func(s custody.Share, by custody.Share) custody.Share { s.Fingerprint = by.Fingerprint; return s }
	wiped := raw(of("first", 0, 0))
	wiped.Y.Wipe()
	for name, tt := range map[string]struct {
		share custody.Share
		slot  string
		set   uint32
		kind  error
		want  uint32
	}{
		"of the first slot":           {share: of("first", 0, 1), slot: "first", set: 2},
		"of the last slot":            {share: of("last", 0, 1), slot: "last", set: 5},
		"of a team":                   {share: of("teams", 0, 0), slot: "teams", set: 3},
		"of the other team":           {share: of("teams", 1, 1), slot: "teams", set: 4},
		"bare, of the first slot":     {share: raw(of("first", 0, 1)), slot: "first", set: 2},
		"bare, of the last slot":      {share: raw(of("last", 0, 0)), slot: "last", set: 5},
		"bare, of the other team":     {share: raw(of("teams", 1, 0)), slot: "teams", set: 4},
		"altered":                     {share: altered(of("first", 0, 0)), kind: custody.ErrShareAltered},
		"altered, of a team":          {share: altered(of("teams", 0, 0)), kind: custody.ErrShareAltered},
		"altered, of the other team":  {share: altered(of("teams", 1, 0)), kind: custody.ErrShareAltered},
		"of another number":           {share: numbered(of("first", 0, 0), 2), kind: custody.ErrShareAltered},
		"of a number beyond":          {share: numbered(of("first", 0, 0), 200), kind: custody.ErrShareAltered},
		"of the next number":          {share: numbered(of("first", 0, 0), 4), kind: custody.ErrShareAltered},
		"named after another slot":    {share: named(of("first", 0, 0), of("last", 0, 0)), kind: custody.ErrShareStale, want: 5},
		"named after no slot":         {share: named(of("first", 0, 0), other.shares["first"][0][0]), kind: custody.ErrShareOtherStore},
		"of a set it never had":       {share: elsewhere(of("gone", 0, 0), 3), kind: custody.ErrShareOtherStore},
		"of a later time, or another": {share: elsewhere(other.shares["first"][0][0], 6), kind: custody.ErrShareOtherStore, want: 5},
		"of an older set":             {share: elsewhere(of("last", 0, 0), 2), kind: custody.ErrShareStale, want: 5},
		"of a newer set":              {share: elsewhere(of("teams", 0, 0), 9), kind: custody.ErrShareStale, want: 4},
		"of another leaf's set":       {share: elsewhere(of("teams", 0, 0), 4), kind: custody.ErrShareAltered},
		"of a slot that is gone":      {share: of("gone", 0, 0), kind: custody.ErrShareStale, want: 5},
		"bare, of a slot that's gone": {share: raw(of("gone", 0, 0)), kind: custody.ErrShareOtherStore},
		"bare, altered":               {share: raw(altered(of("first", 0, 0))), kind: custody.ErrShareOtherStore},
		"of another store":            {share: other.shares["first"][0][0], kind: custody.ErrShareOtherStore},
		"bare, of another store":      {share: raw(other.shares["first"][0][0]), kind: custody.ErrShareOtherStore},
		"none":                        {kind: custody.ErrShareMalformed},
		"wiped":                       {share: wiped, kind: custody.ErrShareMalformed},
		"too short":                   {share: custody.Share{X: 1, Y: secret.New(make([]byte, 31))}, kind: custody.ErrShareMalformed},
		"number 0":                    {share: numbered(of("first", 0, 0), 0), kind: custody.ErrShareMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			slot, set, err := custody.Match(f.rec, tt.share)
			if kindOf(err) != tt.kind {
				t.Fatalf("%v, want %v", err, tt.kind)
			}
			if tt.kind == nil {
				if slot == nil || slot.Name != tt.slot || set != tt.set {
					t.Errorf("slot %v, set %d", slot, set)
				}
				return
			}
			e, _ := errors.AsType[*custody.ShareError](err)
			if !errors.Is(err, tt.kind) || err.Error() != tt.kind.Error() {
				t.Errorf("%q is not %v", err, tt.kind)
			}
			if slot != nil || set != 0 || e.Want != tt.want {
				t.Errorf("slot %v, set %d, want set %d", slot, set, e.Want)
			}
			if tt.kind != custody.ErrShareMalformed && (e.X != tt.share.X || e.Set != tt.share.Set) {
				t.Errorf("it names share %d of set %d", e.X, e.Set)
			}
		})
	}
}

// TestMatchWhereNobodyHoldsShares: a share of the one set that people had.
func TestMatchWhereNobodyHoldsShares(t *testing.T) {
	f := newFixture(t, shape{"people", people(3, 2)}, shape{"auto", onKMS("a")})
	f.drop("people")
	_, _, err := custody.Match(f.rec, f.shares["people"][0][0])
	if e, ok := errors.AsType[*custody.ShareError](err); !ok || e.Kind != custody.ErrShareStale || e.Want != 0 {
		t.Errorf("%v", err)
	}
	if _, _, err := custody.Match(&record.Record{}, f.shares["people"][0][0]); kindOf(err) != custody.ErrShareOtherStore {
		t.Errorf("of a record without slots: %v", err)
	}
}

// TestMatchTheSetThatCounts: of a set that was given up, what is named as in use is the
// set that opens the store, and not one that waits to be proven.
func TestMatchTheSetThatCounts(t *testing.T) {
	f := newFixture(t, shape{"opens", people(3, 2)}, shape{"given up", people(3, 2)}, shape{"waits", people(3, 2)})
	f.drop("given up")
	share := f.shares["given up"][0][0]
	for i := range f.rec.Slots {
		if f.rec.Slots[i].Name == "waits" {
			f.rec.Slots[i].State = record.Pending
		}
	}
	var sets []uint32
	custody.EachSet(f.rec, func(_ *record.Slot, leaf *record.Shares, _ string) { sets = append(sets, leaf.Set) })
	for _, want := range sets { // the one that opens, and, once it is gone, the one that waits
		_, _, err := custody.Match(f.rec, share)
		if e, ok := errors.AsType[*custody.ShareError](err); !ok || e.Kind != custody.ErrShareStale || e.Want != want {
			t.Errorf("%v, want set %d", err, want)
		}
		f.rec.Slots = f.rec.Slots[1:]
	}
}

// TestRaw: no share at all is none in bare form either.
func TestRaw(t *testing.T) {
	f := newFixture(t, shape{"people", people(2, 2)})
	text := f.shares["people"][0][0]
	bare := raw(text)
	if text.Raw() || !bare.Raw() || (&custody.Share{}).Raw() {
		t.Errorf("text %v, bare %v, none %v", text.Raw(), bare.Raw(), (&custody.Share{}).Raw())
	}
}
