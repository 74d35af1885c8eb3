package ledger_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

func isZero(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }

// TestAnOpenedAtRestHasTheRootKeyAlone: what it holds is taken from the sealed
// part again, and only then.
func TestAnOpenedAtRestHasTheRootKeyAlone(t *testing.T) {
	b := newBranch(t, storeID)
	o := b.open
	root, key := o.Root, o.State.ActiveTerm()
	o.LockRoot()
	if !isZero(root) || !isZero(key.Key[:]) || len(o.State.Identities) != 0 {
		t.Error("keys are still where they were")
	}
	if !bytes.Equal(o.Root, rootKey) {
		t.Error("it has lost the root key")
	}
	awake, err := o.Reopen()
	if err != nil {
		t.Fatal(err)
	}
	if got := awake.State.ActiveTerm().Key; got != term(1, 1, record.TermActive).Key || len(awake.State.Identities) != 1 || !bytes.Equal(awake.Root, rootKey) {
		t.Error("awake it has other keys")
	}
	key = awake.State.ActiveTerm()
	secrets := awake.State.Terms
	awake.Wipe()
	if awake.Root != nil || !isZero(key.Key[:]) || !isZero(secrets[0].Key[:]) {
		t.Error("wiped, it has keys")
	}
	if !bytes.Equal(o.Root, rootKey) {
		t.Error("the one at rest was wiped with it")
	}
	o.Wipe()
	if o.Root != nil {
		t.Error("wiped, it has the root key")
	}
}

// TestOpen: the clear part belongs to the sealed one, and the root key to both.
func TestOpen(t *testing.T) {
	b := newBranch(t, storeID).proven()
	other := newBranch(t, storeID).proven()
	spliced := bytes.Replace(b.rec, []byte(`"name":"people"`), []byte(`"name":"poeple"`), 1)
	for name, tt := range map[string]struct {
		rec  []byte
		root []byte
		is   error
	}{
		"the record":       {b.rec, rootKey, nil},
		"another root key": {b.rec, make([]byte, 32), aead.ErrWrongKey},
		"a changed name":   {spliced, rootKey, aead.ErrCorrupt},
	} {
		s, err := ledger.Parse(tt.rec)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		o, err := s.Open(tt.root)
		if !errors.Is(err, tt.is) || (o == nil) != (tt.is != nil) {
			t.Errorf("%s: %v, want %v", name, err, tt.is)
		}
	}
	if bytes.Equal(b.rec, other.rec) {
		t.Error("two records are the same")
	}
}

func TestDraftBoundsTheRecord(t *testing.T) {
	next := newBranch(t, storeID).open.State
	const terms = 70_000 // of sixty bytes
	next.Terms = make([]record.Term, 0, terms)
	for i := range terms {
		next.Terms = append(next.Terms, term(uint32(i+1), 1, record.TermOld))
	}
	next.Terms[len(next.Terms)-1].State = record.TermActive
	next.LastTerm = uint32(len(next.Terms))
	if o, rec, err := ledger.Draft(next, rootKey); !errors.Is(err, ledger.ErrTooLarge) || o != nil || rec != nil {
		t.Errorf("%v", err)
	}
}
