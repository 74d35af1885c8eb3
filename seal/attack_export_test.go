package seal

import (
	"testing"

	"github.com/sealwright/sealwright/internal/record"
)

func OpenWith(t testing.TB, stored, root []byte) []record.Term {
	rec, c, s, err := record.Parse(stored)
	if err != nil {
		t.Fatal(err)
	}
	o, err := unlockAny(&loaded{Record: rec, clear: c, sealed: s, digest: record.DigestOf(stored)}, root)
	if err != nil {
		t.Log("does not open with forger's root:", err)
		return nil
	}
	return o.state.Terms
}

func (b *Barrier) GatheredFor(op OperationID) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.gathers[op]; g != nil {
		for set := range g.shares {
			n += len(g.shares[set])
		}
	}
	return n
}
