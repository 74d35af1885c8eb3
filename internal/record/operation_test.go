package record_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
)

// The id of an init stood in the record in clear: whoever read a backup could
// repeat the init, and got the shares of a new store.
func TestTheIDOfAnInitIsNotInTheRecord(t *testing.T) {
	s := initialized(t, named{"people", people3of2}) // by op-init
	if bytes.Contains(image(&s), []byte("op-init")) {
		t.Error("the record says the id")
	}
	if got := s.Journal[0].Operation; got != s.Operation.ID || got != record.InitID(storeID, "op-init") {
		t.Errorf("the journal says %q, the operation %q", got, s.Operation.ID)
	}
	if _, _, _, err := record.Parse(storedBytes(t, &s)); err != nil {
		t.Error(err)
	}
	for id, want := range map[string]bool{"op-init": true, "": false, "op-other": false, s.Operation.ID: false, strings.ToUpper(s.Operation.ID): false} {
		if s.BeganWith(id) != want {
			t.Errorf("BeganWith(%q) is not %v", id, want)
		}
	}
	other := s.Record
	other.Store = strings.Repeat("0", 32)
	if other.BeganWith("op-init") {
		t.Error("the digest is good for another store")
	}
	h := proven(t)
	h.then(h.Begin(stepOn(&h.State, "op-init"), record.Operation{Kind: record.OpMigrate}))
	if h.BeganWith("op-init") {
		t.Error("an operation that is no init is taken for one")
	}
}
