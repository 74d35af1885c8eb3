package record_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sealwright/sealwright/internal/record"
)

// faults are the ways to break the protocol that the model must find.
type faults struct {
	blindPut         bool
	deliverAfter     bool
	staleProof       bool
	keysUnasked      bool
	wrapLeft         bool
	termKept         bool
	cancelKeeps      bool
	lastSlot         bool
	pendingCounts    bool
	pendingUnseals   bool
	unstoredTerms    bool
	retiresEarly     bool
	followsOlder     bool
	anchorIgnored    bool
	countsRecords    bool
	restoreReuses    bool
	restoreForgets   bool
	restoreKeepsRoot bool
	joinKeepsRoot    bool
	joinTrusts       bool
	waitsForKeys     bool
	deaf             bool
	writesOn         bool
	halfAgrees       bool
	noReserve        bool
	believesNumbers  bool
	hasty            bool
	unfenced         bool
	rosterForgets    bool
	rosterBelieved   bool
	rosterByNewest   bool
	handsUnseen      bool
	takesLate        bool
	undoesSeal       bool
}

// A plant is a fault, in the scenario that shows it. Its story, the shortest
// there is, stands in testdata/stories.
type plant struct {
	name     string
	fault    string // in a sentence
	scenario string
	faults   faults
	far      bool // it is found after more than ten thousand states
}

var planted = []plant{
	{"blind-put", "A change is stored without a look at what it replaces.", "key to key", faults{blindPut: true}, false},
	{"delivered-after-commit", "A rekey takes effect before its shares are handed out.", "rekey", faults{deliverAfter: true}, false},
	{"stale-proof", "A drop believes that a slot opens the store because it once did.", "people to key", faults{staleProof: true}, false},
	{"key-not-asked-again", "Where people and a key open a slot together, a drop relies on what they proved a step before.", "people to a tree", faults{keysUnasked: true}, false},
	{"wrap-left-behind", "A new root key is not encrypted to the slots that stay.", "keys", faults{wrapLeft: true}, false},
	{"term-kept", "A drop replaces the root key, and keeps the data key.", "key to key", faults{termKept: true}, false},
	{"cancel-keeps-keys", "A rekey that is given up keeps root key and data key, although its shares were handed out.", "rekey", faults{cancelKeeps: true}, false},
	{"last-slot-dropped", "The last proven slot can be dropped.", "key to key", faults{lastSlot: true}, false},
	{"pending-counts", "A slot that nobody has proven counts as one that opens the store.", "key to people", faults{pendingCounts: true}, false},
	{"pending-unseals", "A slot that nobody has proven unseals.", "key to people", faults{pendingUnseals: true}, false},
	{"unstored-term", "A process encrypts under a term before it is stored.", "keys", faults{unstoredTerms: true}, false},
	{"retired-early", "A term is retired while a process that did not look at the store since encrypts under it.", "keys", faults{retiresEarly: true}, false},
	{"older-record-followed", "A process takes an older record for the present one.", "restore", faults{followsOlder: true}, false},
	{"anchor-ignored", "A process that starts does not look at its anchor.", "anchors", faults{anchorIgnored: true}, false},
	{"generations-counted", "A process looks for the record it saw by counting generations, and a restore left some out.", "restore", faults{countsRecords: true}, true},
	{"restore-reuses-terms", "A restore goes on with the term number after the restored record's last.", "restore", faults{restoreReuses: true}, false},
	{"restore-forgets", "A restore gives up what the process knows and the restored record should.", "join", faults{restoreForgets: true}, false},
	{"restore-keeps-root", "A restore keeps the root key.", "restore", faults{restoreKeepsRoot: true}, false},
	{"join-keeps-root", "A join keeps the root key.", "join", faults{joinKeepsRoot: true}, false},
	{"join-trusts-fork", "A join takes the fork's key where both have one of a number.", "join", faults{joinTrusts: true}, false},
	{"waits-for-a-key", "A process that asks a key which wants to be left alone waits for it, and does nothing else.", "a key that rests", faults{waitsForKeys: true}, false},
	{"deaf-to-shares", "A process that cannot take in the stored record takes no shares that would open it.", "replicas that cannot follow", faults{deaf: true}, false},
	{"writes-on", "A process that cannot take in the stored record encrypts on, under a term that others retire.", "replicas that cannot follow", faults{writesOn: true}, false},
	{"half-agrees", "What the first of two teams gave is taken for the agreement of both.", "a tree of teams", faults{halfAgrees: true}, false},
	{"no-reserve", "Rotations go on to the last number.", "a full record", faults{noReserve: true}, false},
	{"lease-taken-early", "A lease is taken over while who has it still works.", "keepers", faults{hasty: true}, false},
	{"retired-without-the-lease", "A keeper retires a term without a look whether it still has the lease that it counted under.", "keepers that retire", faults{unfenced: true}, true},
	{"roster-forgotten", "A process forgets whom the roster had when it is taken away.", "a replica that hangs", faults{rosterForgets: true}, false},
	{"roster-believed", "A process believes what anybody writes into the roster.", "a replica that hangs", faults{rosterBelieved: true}, false},
	{"roster-by-newest", "A term is retired when every replica can read the active one.", "a replica that hangs", faults{rosterByNewest: true}, true},
	{"handed-unseen", "A process hands its root key over without a look whether the record is the one that it has.", "a hand-off of an old record", faults{handsUnseen: true}, false},
	{"taken-late", "A process takes what was handed to it without a look whether that record is still the stored one.", "hand-off", faults{takesLate: true}, false},
	{"seal-undone", "A process takes what was handed to it although it was sealed since it asked.", "hand-off", faults{undoesSeal: true}, false},
	{"numbers-believed", "An init takes over the numbers of a record that nobody vouches for.", "a stranger's numbers", faults{believesNumbers: true}, false},
}

// find has the model look for the fault, and compares its story.
func (p plant) find(t *testing.T) (found bool) {
	i := slices.IndexFunc(scenarios(), func(s scenario) bool { return s.name == p.scenario })
	m := newModel(scenarios()[i], p.faults)
	wrong, story, _ := m.explore(1_000_000)
	if wrong == "" {
		t.Errorf("not found in %d states", m.visited)
		return false
	}
	told := p.fault + "\n" + m.scenario.opening() + "\n\n" + tell(story, wrong)
	t.Logf("after %d states:\n%s", m.visited, told)
	golden := filepath.Join("testdata", "stories", p.name+".txt")
	if *update {
		if err := os.WriteFile(golden, []byte(told), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), told); d != "" {
		t.Errorf("another story than in %s: read it, then -update\n%s", golden, d)
	}
	return true
}

// taken returns the state with a slot taken for a proven one.
func taken(s record.State, i int8) record.State {
	s = s.Clone()
	s.Slots[i].State, s.Slots[i].Proven = record.Active, &record.Proof{}
	return s
}

// dropAnyway is Drop without its questions.
func dropAnyway(s record.State, ids []uint32, r record.NewRoot) record.State {
	s = s.Clone()
	s.Slots = slices.DeleteFunc(s.Slots, func(o record.Slot) bool { return slices.Contains(ids, o.ID) })
	s.Root, s.Generation = r.Root, s.Generation+1
	for i := range s.Slots {
		s.Slots[i].Wrap = r.Wraps[s.Slots[i].ID]
	}
	return s
}

// rotateAnyway is Rotate, again and again, to the last number.
func rotateAnyway(s *record.State, t record.Term) record.State {
	next := s.Clone()
	for i := range next.Terms {
		next.Terms[i].State = record.TermOld
	}
	next.Terms = append(next.Terms, t)
	next.LastTerm, next.Generation = t.Number, next.Generation+1
	return next
}

// initAnyway is Init over any numbers, which go on.
func (k *maker) initAnyway(c change, base record.Record) (record.State, id, error) {
	young := &maker{k.model, k.naming, &entry{}}
	next, root, err := young.init(change{do: doInitialize, i: c.i})
	next.Generation = base.Generation + 1
	next.Root, next.LastTerm, next.LastSet = base.Root, base.LastTerm+1, base.LastSet+1
	for i := range next.Slots {
		next.Slots[i].ID += base.LastSlot
	}
	next.LastSlot += base.LastSlot
	return next, root, err
}

// proveAnyway is the first Prove of a slot, whatever the numbers are.
func proveAnyway(s *record.State, slot int) record.State {
	young := s.Clone()
	young.Root, young.LastTerm, young.LastSlot, young.LastSet = 1, 1, 1, 1
	next, err := young.Prove(record.Step{}, proofOf(&young, &young.Slots[slot]), nil)
	if err != nil {
		panic(err)
	}
	next.Root, next.LastTerm, next.LastSlot, next.LastSet = s.Root, s.LastTerm, s.LastSlot, s.LastSet
	return next
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
