package record_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
)

// What the small questions about a record answer, case by case.

func TestSameOperation(t *testing.T) {
	make := func() record.Operation {
		return record.Operation{Kind: record.OpMigrate, Slot: "s", Desired: []record.Goal{{Name: "a", Spec: &record.Spec{KMS: "k"}}, {Name: "b", Drop: true}}}
	}
	o, p := make(), make()
	p.ID, p.Actor, p.Replica = "another", "another", "another"
	if !o.Same(&p) {
		t.Error("not the same, by who asks for it")
	}
	for name, change := range map[string]func(*record.Operation){
		"kind":             func(o *record.Operation) { o.Kind = record.OpDrop },
		"slot":             func(o *record.Operation) { o.Slot = "" },
		"a goal fewer":     func(o *record.Operation) { o.Desired = o.Desired[:1] },
		"a goal's name":    func(o *record.Operation) { o.Desired[0].Name = "c" },
		"a drop's name":    func(o *record.Operation) { o.Desired[1].Name = "c" },
		"a drop or not":    func(o *record.Operation) { o.Desired[1].Drop = false },
		"a goal's shape":   func(o *record.Operation) { o.Desired[0].Spec = &record.Spec{KMS: "l"} },
		"a goal, no shape": func(o *record.Operation) { o.Desired[0].Spec = nil },
		"a drop, a shape":  func(o *record.Operation) { o.Desired[1].Spec = &record.Spec{} },
		"the order":        func(o *record.Operation) { slices.Reverse(o.Desired) },
	} {
		p := make()
		change(&p)
		if o.Same(&p) || p.Same(&o) {
			t.Errorf("%s: the same", name)
		}
	}
}

func TestOperationCovers(t *testing.T) {
	drop := func(names ...string) (goals []record.Goal) {
		for _, n := range names {
			goals = append(goals, record.Goal{Name: n, Drop: true})
		}
		return goals
	}
	migration := record.Operation{Kind: record.OpMigrate, Desired: append(drop("a", "b"), record.Goal{Name: "c", Spec: &record.Spec{KMS: "k"}})}
	for name, test := range map[string]struct {
		o, p record.Operation
		want bool
	}{
		"a proof":                        {migration, record.Operation{Kind: record.OpProve, Slot: "c"}, true},
		"a drop of one it drops":         {migration, record.Operation{Kind: record.OpDrop, Desired: drop("b")}, true},
		"a drop of both":                 {migration, record.Operation{Kind: record.OpDrop, Desired: drop("b", "a")}, true},
		"a drop of another":              {migration, record.Operation{Kind: record.OpDrop, Desired: drop("d")}, false},
		"a drop of one it drops, and on": {migration, record.Operation{Kind: record.OpDrop, Desired: drop("a", "d")}, false},
		"a drop of one it wants":         {migration, record.Operation{Kind: record.OpDrop, Desired: drop("c")}, false},
		"a migration":                    {migration, record.Operation{Kind: record.OpMigrate, Desired: drop("a")}, false},
		"within a drop":                  {record.Operation{Kind: record.OpDrop, Desired: drop("a")}, record.Operation{Kind: record.OpDrop, Desired: drop("a")}, false},
		"within a proof":                 {record.Operation{Kind: record.OpProve, Slot: "c"}, record.Operation{Kind: record.OpProve, Slot: "c"}, false},
	} {
		if got := test.o.Covers(&test.p); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestSpecEqual(t *testing.T) {
	all := []record.Spec{
		{}, {KMS: "a"}, {KMS: "b"}, {Shares: 3, Threshold: 2}, {Shares: 3, Threshold: 3}, {Shares: 2, Threshold: 2},
		{Threshold: 2, Of: []record.Spec{{KMS: "a"}, {KMS: "b"}}}, {Threshold: 2, Of: []record.Spec{{KMS: "a"}, {KMS: "c"}}},
		{Threshold: 2, Of: []record.Spec{{KMS: "a"}}}, {Threshold: 1, Of: []record.Spec{{KMS: "a"}, {KMS: "b"}}},
	}
	for i, a := range all {
		for j, b := range all {
			if a.Equal(b) != (i == j) {
				t.Errorf("%v and %v: %t", a, b, i != j)
			}
		}
	}
}

func TestTrees(t *testing.T) {
	next := uint32(0)
	tree := func(s record.Spec) *record.Node { n := nodeOf(s, &next); return &n }
	of := func(k int, specs ...record.Spec) record.Spec { return record.Spec{Threshold: k, Of: specs} }
	for name, test := range map[string]struct {
		spec          record.Spec
		needs, people bool
		paths         string
	}{
		"KMS":                         {kmsA, false, false, ""},
		"people":                      {people3of2, true, true, ""},
		"both":                        {of(2, kmsA, people3of2), true, true, "1 2"},
		"people first":                {of(2, people3of2, kmsA), true, true, "1 2"},
		"one of two":                  {of(1, people3of2, kmsA), false, true, "1 2"},
		"two keys":                    {of(2, kmsA, kmsB), false, false, "1 2"},
		"two of three, with a person": {of(2, kmsA, onePerson, kmsB), false, true, "1 2 3"},
		"three of three":              {of(3, kmsA, onePerson, kmsB), true, true, "1 2 3"},
		"a tree in a tree":            {of(2, kmsA, of(1, kmsB, of(2, people3of2, onePerson))), false, true, "1 2.1 2.2.1 2.2.2"},
		"a tree that needs people":    {of(2, kmsA, of(2, kmsB, onePerson)), true, true, "1 2.1 2.2"},
	} {
		n := tree(test.spec)
		var paths []string
		n.Walk("", func(path string, leaf *record.Node) {
			paths = append(paths, path)
			if leaf.Threshold != nil {
				t.Errorf("%s: %q is no leaf", name, path)
			}
		})
		leaves := 0
		n.Leaves(func(*record.Node) bool { leaves++; return true })
		first := 0
		n.Leaves(func(*record.Node) bool { first++; return false })
		if got := strings.Join(paths, " "); got != test.paths || leaves != len(paths) || first != 1 {
			t.Errorf("%s: the paths %q, %d leaves, %d when told to stop", name, got, leaves, first)
		}
		if n.NeedsPeople() != test.needs || n.People() != test.people || !n.Spec().Equal(test.spec) {
			t.Errorf("%s: needs people %t, has them %t, %v", name, n.NeedsPeople(), n.People(), n.Spec())
		}
	}
}

func TestActiveTerm(t *testing.T) {
	h := proven(t)
	h.then(h.Rotate(stepOn(&h.State, ""), termOf(&h.Record, record.TermActive)))
	h.then(h.Rotate(stepOn(&h.State, ""), termOf(&h.Record, record.TermPassive)))
	if n := h.ActiveTerm().Number; n != 2 {
		t.Errorf("the active one of 1, 2 and a passive 3 is %d", n)
	}
}

// A drop that people agreed to goes no further than they were asked.
func TestProofOfADropIsForItsSlotsAlone(t *testing.T) {
	h := proven(t)
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "other", kmsB)))
	h.prove("other", record.Pending, "")
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "waits", kmsB)))
	h.then(h.Begin(stepOn(&h.State, "op-1"), record.Operation{Kind: record.OpMigrate, Desired: []record.Goal{
		{Name: "auto", Drop: true}, {Name: "other", Spec: &kmsB}, {Name: "waits", Spec: &kmsB},
	}}))
	h.prove("people", record.Active, "op-1")
	auto, other, waits := h.Find("auto", record.Active).ID, h.Find("other", record.Active).ID, h.Find("waits", record.Pending).ID
	for name, test := range map[string]struct {
		ids  []uint32
		want bool
	}{
		"the one named":           {[]uint32{auto}, true},
		"a pending one":           {[]uint32{waits}, true},
		"both":                    {[]uint32{waits, auto}, true},
		"one that is to stay":     {[]uint32{other}, false},
		"that and the one named":  {[]uint32{auto, other}, false},
		"no slot":                 {[]uint32{99}, false},
		"the one named, and none": {[]uint32{auto, 99}, false},
	} {
		if got := h.ProvenWithout(test.ids, nil); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A list of keys that had too little room was moved when it grew, and left a
// copy of them behind.
func TestKeysAreNotMoved(t *testing.T) {
	h := proven(t)
	fork := h.State.Clone()
	for range 5 {
		h.then(h.Rotate(stepOn(&h.State, ""), termOf(&h.Record, record.TermActive)))
	}
	theirs := slices.Clone(h.Terms)
	last := theirs[len(theirs)-1]
	r := rewrapOf(&fork)
	r.Term = &record.Term{Number: last.Number + 1, State: record.TermActive}
	joined, err := fork.Join(stepOn(&fork, ""), &fork.Record, theirs, r)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(fork.Terms) + len(theirs) + 1; cap(joined.Terms) != want || len(joined.Terms) != len(theirs)+1 {
		t.Errorf("%d terms in room for %d, want %d", len(joined.Terms), cap(joined.Terms), want)
	}
	room := -1
	for _, s := range []*record.State{&fork, &h.State, &full(t).State, longJournal(t)} {
		b := s.Marshal()
		if room < 0 {
			room = cap(b) - len(b)
		}
		if cap(b)-len(b) != room {
			t.Errorf("%d bytes in room for %d: %d to spare, and %d before", len(b), cap(b), cap(b)-len(b), room)
		}
	}
}

func longJournal(t testing.TB) *record.State {
	h := proven(t)
	st := stepOn(&h.State, "")
	st.Actor, st.Replica, st.Operation = strings.Repeat("a", 64), strings.Repeat("r", 60), ""
	h.then(h.Rotate(st, termOf(&h.Record, record.TermActive)))
	st = stepOn(&h.State, "")
	st.Operation, st.Actor = strings.Repeat("o", 64), ""
	h.then(h.Begin(st, record.Operation{Kind: record.OpMigrate}))
	return &h.State
}

// A rewrap changes blobs, what they say of their keys, and boxes, and nothing
// else: not the KMS, and not to a key that another leaf has.
func TestRewrapOfOtherCustodians(t *testing.T) {
	both := record.Spec{Threshold: 2, Of: []record.Spec{kmsA, kmsB}}
	h := proven(t)
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "tree", both)))
	slot := *h.Find("tree", record.Pending)
	tree := func() record.Node {
		next := uint32(0)
		return nodeOf(both, &next)
	}
	for name, change := range map[string]func(*record.Node){
		"":              func(*record.Node) {},
		"version":       func(n *record.Node) { n.Threshold.Of[0].KMS.Blob.Version = "2" },
		"ciphertext":    func(n *record.Node) { n.Threshold.Of[1].KMS.Blob.Ciphertext = []byte("new") },
		"!name":         func(n *record.Node) { n.Threshold.Of[0].KMS.Name = "c" },
		"!type":         func(n *record.Node) { n.Threshold.Of[0].KMS.Blob.Type = "other" },
		"key":           func(n *record.Node) { n.Threshold.Of[1].KMS.Blob.KeyID = "key/c" },
		"!other's key":  func(n *record.Node) { n.Threshold.Of[1].KMS.Blob.KeyID = n.Threshold.Of[0].KMS.Blob.KeyID },
		"!threshold":    func(n *record.Node) { n.Threshold.Threshold = 1 },
		"!a leaf fewer": func(n *record.Node) { n.Threshold.Of = n.Threshold.Of[:1] },
		"!a lone leaf":  func(n *record.Node) { *n = n.Threshold.Of[0] },
		"!people":       func(n *record.Node) { n.Threshold.Of[1] = record.Node{Shamir: &record.Shares{Shares: 1, Threshold: 1}} },
	} {
		n := tree()
		change(&n)
		_, err := h.Renew(stepOn(&h.State, ""), slot.ID, n)
		if refused := err != nil; refused != strings.HasPrefix(name, "!") {
			t.Errorf("%s: %v", name, err)
		}
		says := "changes blobs alone"
		if name == "!other's key" {
			says = "two leaves on the same key"
		}
		if err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWipedRewrap(t *testing.T) {
	r := record.NewRoot{Term: &record.Term{Number: 7, Key: [32]byte{1}}}
	r.Wipe()
	if r.Term.Key != [32]byte{} || r.Term.Number != 7 {
		t.Errorf("%+v", r.Term)
	}
	(&record.NewRoot{}).Wipe() // of a change of the root key alone
}

// The longest lists that a record can have are read back.
func TestFullLists(t *testing.T) {
	h := proven(t)
	for len(h.Journal) < record.MaxJournal || len(h.Digests) < record.MaxDigests {
		before := len(h.Terms)
		h.then(h.Rotate(stepOn(&h.State, ""), termOf(&h.Record, record.TermActive)))
		if cap(h.Terms) != before+1 {
			t.Fatalf("%d terms in room for %d: they were moved", len(h.Terms), cap(h.Terms))
		}
	}
	for len(h.Former) < record.MaxFormer {
		h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "gone", onePerson)))
		id := []uint32{h.Find("gone", record.Pending).ID}
		h.then(h.Drop(stepOn(&h.State, ""), id, nil, rewrapOf(&h.State, id...)))
	}
	h.crowd(onePerson)
	for i := range h.Slots {
		h.Slots[i].PublicKey, h.Slots[i].Wrap = make([]byte, 4096), make([]byte, 4096)
	}
	key := h.Find("auto", record.Active).Tree.KMS
	key.Blob.Type, key.Blob.KeyID = strings.Repeat("t", 64), strings.Repeat("i", 2048)
	s, err := record.ParseSecrets(h.Marshal())
	if err != nil || len(s.Journal) != record.MaxJournal || len(s.Digests) != record.MaxDigests || len(s.Identities) != record.MaxSlots {
		t.Fatalf("%v, %+v", err, s)
	}
	if _, _, _, err := record.Parse(storedBytes(t, &h.State)); err != nil {
		t.Error(err)
	}
}

// Where the two parts name no predecessor, none disagrees.
func TestAgreeWithoutPredecessor(t *testing.T) {
	h := proven(t)
	if err := h.Agree(); err != nil || h.Generation < 2 {
		t.Fatal(err)
	}
	none := h.State
	none.Digests = nil
	if err := none.Agree(); err != nil {
		t.Errorf("no digests are kept: %v", err)
	}
	first := initialized(t, named{"p", onePerson})
	first.Digests = []record.Digest{{1}}
	if err := first.Agree(); err != nil || first.Generation != 1 {
		t.Errorf("a first record: %v", err)
	}
	other := h.State
	other.Digests = []record.Digest{{1}}
	if err := other.Agree(); err == nil {
		t.Error("another predecessor is named")
	}
}

// A record of later code is told from a damaged one also where it has longer
// lists than this code takes.
func TestNewerWithLongLists(t *testing.T) {
	long := `{"format":3,"min_reader":3,"list":[0` + strings.Repeat(",0", 300) + `]}`
	if _, _, _, err := record.Parse([]byte(long)); !errors.Is(err, record.ErrNewer) {
		t.Errorf("%v", err)
	}
	if _, _, _, err := record.Parse([]byte(strings.Replace(long, `"min_reader":3`, `"min_reader":1`, 1))); !errors.Is(err, record.ErrMalformed) {
		t.Errorf("%v", err)
	}
}

// A length makes no room for more than the input holds.
func TestSecretsClaimTooMuch(t *testing.T) {
	claim := append([]byte{1, 0, 0, 2, 0}, make([]byte, 20)...) // 512 terms in 20 bytes
	if n := allocated(func() {
		if _, err := record.ParseSecrets(claim); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%v", err)
		}
	}); n > 8<<10 {
		t.Errorf("%d bytes are allocated for %d", n, len(claim))
	}
}

// How far a record's lists reach back decides what can be said of an older one.
func TestAfterReachesAsFarAsItsLists(t *testing.T) {
	near, far, other := record.Digest{1}, record.Digest{2}, record.Digest{3}
	s := record.State{Record: record.Record{Generation: 10}}
	s.Digests, s.Journal = []record.Digest{near, far}, []record.Entry{{Generation: 5}}
	for name, test := range map[string]struct {
		generation  uint64
		digest      record.Digest
		after, sure bool
	}{
		"its predecessor":                 {9, near, true, true},
		"the one before":                  {8, far, true, true},
		"another predecessor":             {9, other, false, true},
		"another one before":              {8, other, false, true},
		"beyond its digests":              {7, other, false, true},
		"where its journal begins":        {5, other, false, true},
		"beyond its journal":              {4, other, true, false},
		"a younger one":                   {11, other, false, true},
		"one of its own generation":       {10, other, false, true},
		"one of its generation, it knows": {10, near, false, true},
	} {
		if after, sure := s.After(test.generation, test.digest); after != test.after || sure != test.sure {
			t.Errorf("%s: %t, %t", name, after, sure)
		}
	}
	s.Journal = nil
	if after, sure := s.After(5, other); !after || sure {
		t.Errorf("without a journal: %t, %t", after, sure)
	}
}
