package custody

import (
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// TestEveryShareThatGoesIsWiped: the quorum's own copies, on each way out.
func TestEveryShareThatGoesIsWiped(t *testing.T) {
	keys := NewKeys(nil, kms.Policy{Attempts: 1}, time.Second)
	for name, leave := range map[string]func(*Quorum, *record.Record, []Share){
		"wiped":         func(q *Quorum, _ *record.Record, _ []Share) { q.Wipe(nil) },
		"sifted":        func(q *Quorum, _ *record.Record, _ []Share) { q.Sift(&record.Record{}) },
		"expired":       func(q *Quorum, _ *record.Record, _ []Share) { q.Expire(time.Now()) },
		"told anew":     func(q *Quorum, rec *record.Record, s []Share) { q.Add(rec, s[0]) },
		"wiped, as two": func(q *Quorum, rec *record.Record, s []Share) { q.Add(rec, s[1]); q.Wipe(nil) },
	} {
		rec := &record.Record{Store: treeStore}
		n, sets, err := keys.NewSlot(t.Context(), rec, "people", people(2, 2), make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		fingerprint := record.FingerprintOf(n.Identity)
		rec.Slots = []record.Slot{{Name: "people", Fingerprint: fingerprint[:12], Tree: n.Tree}}
		q := &Quorum{}
		bare := Share{X: sets[0].Shares[0].X, Y: sets[0].Shares[0].Y}
		if _, err := q.Add(rec, bare); err != nil {
			t.Fatal(err)
		}
		held := q.shares[1][1].Y
		if y := held.Reveal(); len(y) != SeedSize {
			t.Fatal("it holds nothing")
		}
		leave(q, rec, sets[0].Shares)
		if y := held.Reveal(); len(y) != 0 {
			t.Errorf("%s: the share is still there", name)
		}
		if y := bare.Y.Reveal(); len(y) != SeedSize {
			t.Errorf("%s: the giver's own share is wiped", name)
		}
	}
}

// TestAnAnswerIsWiped: the root key, and the shares that an opener was handed.
func TestAnAnswerIsWiped(t *testing.T) {
	a := &Answer{Root: RandomKey()}
	root := a.Root
	a.Wipe()
	for _, b := range root {
		if b != 0 {
			t.Fatal("the root key is still there")
		}
	}
	y := RandomKey()
	o := opener{shares: map[uint32][]heldShare{1: {{x: 1, y: y}}}}
	o.wipe()
	for _, b := range y {
		if b != 0 {
			t.Fatal("a share is still there")
		}
	}
}
