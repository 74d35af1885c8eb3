package record_test

import (
	"slices"

	"github.com/sealwright/sealwright/internal/record"
)

// faults are the ways to break the protocol that the model must find.
type faults struct {
	blindPut         bool // swap without comparing
	deliverAfter     bool // a rekey commits before its shares are delivered
	staleProof       bool // a drop believes any proof ever recorded
	wrapLeft         bool // a root rotation leaves a slot's wrap behind
	termKept         bool // a drop keeps the data key
	unstoredTerms    bool // a replica encrypts under a term it has not stored yet
	cancelKeeps      bool // a rekey given up after its shares were delivered keeps root key and term
	lastSlot         bool // the last proven slot can go
	pendingCounts    bool // a pending slot counts as one that opens
	pendingUnseals   bool // a pending slot unseals
	followsOlder     bool // a process takes an older record for the present one
	restoreReuses    bool // a restore goes on with the term number after its own
	restoreKeepsRoot bool // a restore keeps the root key
	restoreForgets   bool // a restore gives up what the process knew below the record's last term
	keysUnasked      bool // a key beside people who agreed to a drop is not asked again
	joinTrusts       bool // a join takes the fork's key where both have one of a number
	retiresEarly     bool // a term is retired while a process still encrypts under it
}

// planted are the faults, each in the scenario that shows it.
var planted = []plant{
	{"blind-put", "people and keys", faults{blindPut: true}},
}

type plant struct {
	name, scenario string
	faults         faults
}

func (p plant) walk() (wrong string, story []string) {
	i := slices.IndexFunc(scenarios(), func(s scenario) bool { return s.name == p.scenario })
	m := newModel(scenarios()[i], p.faults)
	wrong, story, _ = m.explore(1_000_000)
	return wrong, story
}

func (p plant) caught() bool {
	wrong, _ := p.walk()
	return wrong != ""
}

// taken returns the state with a slot taken for a proven one.
func taken(s record.State, i int8) record.State {
	s = s.Clone()
	s.Slots[i].State, s.Slots[i].Proven = record.Active, &record.Proof{}
	return s
}

// dropAnyway is Drop without its questions.
func dropAnyway(s record.State, ids []uint32, r record.Rewrap) record.State {
	s = s.Clone()
	s.Slots = slices.DeleteFunc(s.Slots, func(o record.Slot) bool { return slices.Contains(ids, o.ID) })
	s.Root, s.Generation = r.Root, s.Generation+1
	for i := range s.Slots {
		s.Slots[i].Wrap = r.Wraps[s.Slots[i].ID]
	}
	return s
}

// oldRoot returns the state under the root key of before.
func oldRoot(s record.State, before *record.State) record.State {
	s.Root = before.Root
	for i := range s.Slots {
		s.Slots[i].Wrap = before.Slot(s.Slots[i].ID).Wrap
	}
	return s
}

// keepRoot returns the state with the root key and the data keys of before.
func keepRoot(s record.State, before *record.State) record.State {
	s.Terms, s.LastTerm = before.Terms, before.LastTerm
	return oldRoot(s, before)
}
