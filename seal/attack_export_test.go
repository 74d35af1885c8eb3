package seal

import (
	"testing"

	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

func OpenWith(t testing.TB, stored, root []byte) []record.Term {
	l, err := ledger.Parse(stored)
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.Open(root)
	if err != nil {
		t.Log("does not open with forger's root:", err)
		return nil
	}
	return o.State.Terms
}

func (b *Barrier) GatheredFor(op OperationID) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.gathers[op]; g != nil {
		n = g.Len()
	}
	return n
}
