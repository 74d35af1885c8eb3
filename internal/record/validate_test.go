package record_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
)

// TestValidate breaks one rule of a valid record at a time.
func TestValidate(t *testing.T) {
	s := full(t).State
	young := initialized(t, named{"people", people3of2})
	long := strings.Repeat("n", record.MaxName+1)
	leaf := func(r *record.Record, name string) *record.Node { return &r.Find(name, record.Active).Tree }
	tree := func(r *record.Record) *record.Tree { return r.Find("tree", record.Pending).Tree.Threshold }

	for _, tt := range []struct {
		name   string
		change func(*record.Record)
		says   string
	}{
		{"format 0", func(r *record.Record) { r.Format = 0 }, "impossible format numbers"},
		{"reader 0", func(r *record.Record) { r.MinReader = 0 }, "impossible format numbers"},
		{"reader below 0", func(r *record.Record) { r.MinReader = -1 }, "impossible format numbers"},
		{"format below its reader", func(r *record.Record) { r.Format, r.MinReader = 0, 1 }, "impossible format numbers"},
		{"no store id", func(r *record.Record) { r.Store = "" }, "32 lower-case hex digits"},
		{"a short store id", func(r *record.Record) { r.Store = storeID[2:] }, "32 lower-case hex digits"},
		{"an upper-case store id", func(r *record.Record) { r.Store = strings.ToUpper(storeID) }, "32 lower-case hex digits"},
		{"a store id that is no hex", func(r *record.Record) { r.Store = strings.Repeat("g", 32) }, "32 lower-case hex digits"},
		{"generation 0", func(r *record.Record) { r.Generation = 0 }, "begin at 1"},
		{"root 0", func(r *record.Record) { r.Root = 0 }, "begin at 1"},
		{"a generation above the last", func(r *record.Record) { r.Generation = record.MaxGeneration + 1 }, "the generation is 9007199254740992, above 9007199254740991"},
		{"a root key above the last", func(r *record.Record) { r.Root = record.MaxNumber + 1 }, "the number of the root key is 2147483648, above 2147483647"},
		{"a term above the last", func(r *record.Record) { r.LastTerm = record.MaxNumber + 1 }, "the number of the last term is"},
		{"a slot above the last", func(r *record.Record) { r.LastSlot = record.MaxNumber + 1 }, "the number of the last slot is"},
		{"a share set above the last of all", func(r *record.Record) { r.LastSet = record.MaxNumber + 1 }, "the number of the last share set is"},
		{"a format of no time", func(r *record.Record) { r.Format = record.MaxFormat + 1 }, "impossible format numbers"},
		{"a proof by a later root key", func(r *record.Record) { r.Slots[0].Proven.Root = r.Root + 1 }, "none before this one"},
		{"a proof by this record itself", func(r *record.Record) { r.Slots[0].Proven.Generation = r.Generation }, "none before this one"},
		{"a proof by root key 0", func(r *record.Record) { r.Slots[0].Proven.Root = 0 }, "a proof with impossible values"},
		{"a proof by generation 0", func(r *record.Record) { r.Slots[0].Proven.Generation = 0 }, "a proof with impossible values"},
		{"a proof before 1970", func(r *record.Record) { r.Slots[0].Proven.At = -1 }, "a proof with impossible values"},
		{"a proof after 9999", func(r *record.Record) { r.Slots[0].Proven.At = record.MaxTime + 1 }, "a proof with impossible values"},
		{"an operation after 9999", func(r *record.Record) { r.Operation.At = record.MaxTime + 1 }, "an operation with impossible values"},
		{"no term ever", func(r *record.Record) { r.LastTerm = 0 }, "begin at 1"},
		{"a first record with a predecessor", func(r *record.Record) { r.Generation = 1 }, "every record but the first"},
		{"no predecessor", func(r *record.Record) { r.Previous = nil }, "every record but the first"},
		{"a short digest", func(r *record.Record) { r.Previous = r.Previous[1:] }, "every record but the first"},
		{"no slots", func(r *record.Record) { r.Slots = nil }, "1 to 16 slots, not 0"},
		{"too many slots", func(r *record.Record) {
			for len(r.Slots) <= record.MaxSlots {
				r.Slots = append(r.Slots, r.Slots[0])
			}
		}, "1 to 16 slots, not 17"},
		{"slot id 0", func(r *record.Record) { r.Slots[0].ID = 0 }, "its id or its name stands twice, or was never given"},
		{"a slot id above the last", func(r *record.Record) { r.Slots[0].ID = r.LastSlot + 1 }, "was never given"},
		{"a slot id twice", func(r *record.Record) { r.Slots[0].ID = r.Slots[1].ID }, "stands twice"},
		{"a name twice", func(r *record.Record) { r.Slots[0].Name = r.Slots[1].Name }, "stands twice"},
		{"share set 0", func(r *record.Record) { leaf(r, "people").Shamir.Set = 0 }, "a share set stands twice, or was never given"},
		{"a share set above the last", func(r *record.Record) { leaf(r, "people").Shamir.Set = r.LastSet + 1 }, "was never given"},
		{"a share set twice", func(r *record.Record) { leaf(r, "people").Shamir.Set = 3 }, "stands twice"},
		{"a share set twice in a tree", func(r *record.Record) { tree(r).Of[1].Shamir.Set = tree(r).Of[2].Shamir.Set }, "stands twice"},
		{"too many former sets", func(r *record.Record) {
			r.LastSet = 1000
			for i := range uint32(record.MaxFormer) {
				r.Former = append(r.Former, record.Former{Set: 100 + i, Fingerprint: make([]byte, 12)})
			}
		}, "more than 32 former share sets"},
		{"former set 0", func(r *record.Record) { r.Former[0].Set = 0 }, "a former share set that was never given, stands twice, or is in use"},
		{"a former set above the last", func(r *record.Record) { r.Former[0].Set = r.LastSet + 1 }, "never given"},
		{"a former set that is in use", func(r *record.Record) { r.Former[0].Set = 2 }, "in use"},
		{"a former set twice", func(r *record.Record) { r.Former = append(r.Former, r.Former[0]) }, "stands twice"},
		{"a former set without its fingerprint", func(r *record.Record) { r.Former[0].Fingerprint = nil }, "former share set"},

		{"no name", func(r *record.Record) { r.Slots[0].Name = "" }, `slot "": the name "" must be 1 to 64`},
		{"a long name", func(r *record.Record) { r.Slots[0].Name = long }, "must be 1 to 64"},
		{"a name with a slash", func(r *record.Record) { r.Slots[0].Name = "a/b" }, "must be 1 to 64 letters, digits"},
		{"a name with a line feed", func(r *record.Record) { r.Slots[0].Name = "a\n" }, "must be 1 to 64 letters, digits"},
		{"a name that begins with a dot", func(r *record.Record) { r.Slots[0].Name = ".a" }, "begin with a letter or digit"},
		{"an unknown state", func(r *record.Record) { r.Slots[0].State = "retiring" }, `unknown state "retiring"`},
		{"a short fingerprint", func(r *record.Record) { r.Slots[0].Fingerprint = make([]byte, 11) }, "the fingerprint has 12 bytes"},
		{"no public key", func(r *record.Record) { r.Slots[0].PublicKey = nil }, "the public key or the wrapped root key"},
		{"a long public key", func(r *record.Record) { r.Slots[0].PublicKey = make([]byte, 4097) }, "missing or too long"},
		{"no wrap", func(r *record.Record) { r.Slots[0].Wrap = nil }, "missing or too long"},
		{"a long wrap", func(r *record.Record) { r.Slots[0].Wrap = make([]byte, 4097) }, "missing or too long"},
		{"active without a proof", func(r *record.Record) { r.Slots[0].Proven = nil }, "active, but never proven"},
		{"a proof for a strange operation", func(r *record.Record) { r.Slots[0].Proven.Operation = "\x01" }, "printable ASCII"},

		{"no kind of node", func(r *record.Record) { *leaf(r, "auto") = record.Node{} }, "a node is one of kms, shamir, threshold"},
		{"two kinds of node", func(r *record.Record) { leaf(r, "auto").Shamir = leaf(r, "people").Shamir }, "a node is one of kms, shamir, threshold"},
		{"a leaf with no box", func(r *record.Record) { leaf(r, "auto").KMS.Box = nil }, "missing or oversized part"},
		{"a large box", func(r *record.Record) { leaf(r, "auto").KMS.Box = make([]byte, 1025) }, "oversized"},
		{"a large blob", func(r *record.Record) { leaf(r, "auto").KMS.Blob.Ciphertext = make([]byte, 16<<10+1) }, "oversized"},
		{"a long blob type", func(r *record.Record) { leaf(r, "auto").KMS.Blob.Type = strings.Repeat("t", 65) }, "oversized"},
		{"a long key id", func(r *record.Record) { leaf(r, "auto").KMS.Blob.KeyID = strings.Repeat("t", 2049) }, "oversized"},
		{"a long key version", func(r *record.Record) { leaf(r, "auto").KMS.Blob.Version = strings.Repeat("t", 2049) }, "oversized"},
		{"a leaf without a KMS", func(r *record.Record) { leaf(r, "auto").KMS.Name = "" }, "shares are 1 to 255, not 0"},
		{"a strange KMS", func(r *record.Record) { leaf(r, "auto").KMS.Name = "a b" }, `the name "a b"`},
		{"a commitment too few", func(r *record.Record) { leaf(r, "people").Shamir.Shares++ }, "not one commitment for each share"},
		{"a short commitment", func(r *record.Record) { leaf(r, "people").Shamir.Commitments[0] = make([]byte, 31) }, "a commitment has 32 bytes"},
		{"a custodian too few", func(r *record.Record) { tree(r).Of[1].Shamir.Custodians = []string{"one", "two"} }, "not one custodian for each share"},
		{"a custodian of strange name", func(r *record.Record) { leaf(r, "people").Shamir.Custodians = []string{"\n"} }, "printable ASCII"},
		{"threshold 0", func(r *record.Record) { leaf(r, "people").Shamir.Threshold = 0 }, "the threshold is 1 to 1"},
		{"a threshold above the shares", func(r *record.Record) { leaf(r, "people").Shamir.Threshold = 2 }, "the threshold is 1 to 1"},
		{"one of three", func(r *record.Record) { tree(r).Of[1].Shamir.Threshold = 1 }, "a threshold of 1 would make every share the whole key"},
		{"a tree without children", func(r *record.Record) { tree(r).Of = nil }, "too deep, too wide or empty"},
		{"one of many", func(r *record.Record) { tree(r).Threshold = 1 }, "the threshold of a tree is 2 to 3"},
		{"more than there are", func(r *record.Record) { tree(r).Threshold = 4 }, "the threshold of a tree is 2 to 3"},
		{"a fault in a child", func(r *record.Record) { tree(r).Of[0].KMS.Box = nil }, `slot "tree": a KMS leaf`},
		{"a deep tree", func(r *record.Record) {
			node := tree(r).Of[0]
			for range record.MaxDepth {
				node = record.Node{Threshold: &record.Tree{Threshold: 2, Of: []record.Node{node, node}}}
			}
			r.Find("tree", record.Pending).Tree = node
		}, "too deep"},
		{"a wide tree", func(r *record.Record) { tree(r).Of = make([]record.Node, record.MaxLeaves+1) }, "too wide"},
		{"too many leaves", func(r *record.Record) {
			wide := record.Node{Threshold: &record.Tree{Threshold: 2}}
			for i := range 9 {
				n := uint32(0)
				wide.Threshold.Of = append(wide.Threshold.Of, nodeOf(record.Spec{KMS: string(rune('a' + i))}, &n))
			}
			r.Find("tree", record.Pending).Tree = record.Node{Threshold: &record.Tree{Threshold: 2, Of: []record.Node{wide, wide}}}
		}, "at most 16 leaves"},
		{"two leaves on one key", func(r *record.Record) {
			twin := tree(r).Of[0]
			key := *twin.KMS
			key.Name = "other"
			tree(r).Of = append(tree(r).Of, record.Node{KMS: &key})
		}, `two leaves on the same key "key/a" of fake`},

		{"init although a slot is proven", func(r *record.Record) { r.Operation.Kind = record.OpInit }, "if and only if no slot was proven"},
		{"an unknown kind", func(r *record.Record) { r.Operation.Kind = "steal" }, `unknown operation kind "steal"`},
		{"an operation without an id", func(r *record.Record) { r.Operation.ID = "" }, "an operation with impossible values"},
		{"an operation begun at 0", func(r *record.Record) { r.Operation.Began = 0 }, "an operation with impossible values"},
		{"an operation of the future", func(r *record.Record) { r.Operation.Began = r.Generation + 1 }, "an operation with impossible values"},
		{"too many goals", func(r *record.Record) { r.Operation.Desired = make([]record.Goal, 2*record.MaxSlots+1) }, "an operation with impossible values"},
		{"an operation on a strange slot", func(r *record.Record) { r.Operation.Slot = "a b" }, `the name "a b"`},
		{"a long operation id", func(r *record.Record) { r.Operation.ID = long }, "at most 64 printable ASCII"},
		{"a strange replica", func(r *record.Record) { r.Operation.Replica = "ü" }, "at most 64 printable ASCII"},
		{"a strange actor", func(r *record.Record) { r.Operation.Actor = "\t" }, "at most 64 printable ASCII"},
		{"a goal without a name", func(r *record.Record) { r.Operation.Desired[0].Name = "" }, `the name ""`},
		{"a goal that is wanted and dropped", func(r *record.Record) { r.Operation.Desired[0].Drop = true }, "either wanted or dropped"},
		{"a goal that is neither", func(r *record.Record) { r.Operation.Desired[0].Spec = nil }, "either wanted or dropped"},
		{"a goal that cannot be", func(r *record.Record) { r.Operation.Desired[0].Spec.Threshold = 1 }, "the threshold of a tree"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := deepCopy(t, &s.Record)
			tt.change(r)
			refused(t, r, tt.says)
		})
	}
	for _, tt := range []struct {
		name   string
		change func(*record.Record)
	}{
		{"no init in progress", func(r *record.Record) { r.Operation = nil }},
		{"another operation in progress", func(r *record.Record) { r.Operation.Kind = record.OpDrop }},
	} {
		t.Run("unproven, "+tt.name, func(t *testing.T) {
			r := deepCopy(t, &young.Record)
			tt.change(r)
			refused(t, r, "init is in progress if and only if no slot was proven")
		})
	}
}

func refused(t *testing.T, r *record.Record, says string) {
	t.Helper()
	clear, err := r.Clear()
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = record.Parse(record.Assemble(clear, sealedPart))
	if !errors.Is(err, record.ErrMalformed) || !strings.Contains(err.Error(), says) {
		t.Errorf("%v: is no ErrMalformed that says %q", err, says)
	}
}

// TestValidateTakesLimits: what is just within the limits is a record.
func TestValidateTakesLimits(t *testing.T) {
	h := proven(t)
	wide := record.Spec{Threshold: 2}
	for i := range record.MaxLeaves {
		wide.Of = append(wide.Of, record.Spec{KMS: "k" + string(rune('a'+i))})
	}
	deep := record.Spec{Threshold: 2, Of: []record.Spec{kmsB, {Threshold: 2, Of: []record.Spec{onePerson, {Threshold: 2, Of: []record.Spec{kmsA, onePerson}}}}}}
	name := strings.Repeat("n", record.MaxName)
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, name, wide)))
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "deep", deep)))
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "crowd", record.Spec{Shares: 255, Threshold: 255})))
	h.crowd(record.Spec{Shares: 255, Threshold: 2})
	text := strings.Repeat("~", record.MaxIdentity)
	h.then(h.Begin(record.Step{Previous: digestOf(&h.State), Actor: text, Replica: text, Operation: text}, record.Operation{
		Kind: record.OpMigrate, Desired: []record.Goal{{Name: name, Spec: &deep}, {Name: "deep", Drop: true}},
	}))
	for range 2*record.MaxSlots - 2 {
		h.Operation.Desired = append(h.Operation.Desired, record.Goal{Name: name, Spec: &wide})
	}
	key := h.Find("auto", record.Active).Tree.KMS
	key.Box, key.Blob.Ciphertext = make([]byte, 1024), make([]byte, 16<<10)
	key.Blob.KeyID, key.Blob.Version = strings.Repeat("<&>\u2028", 256), strings.Repeat("{", 2048)
	r := deepCopy(t, &h.Record)
	if r.Find("auto", record.Active).Tree.KMS.Blob.KeyID != key.Blob.KeyID {
		t.Error("a key id reads back otherwise")
	}
}

func TestSpecCheck(t *testing.T) {
	deep := kmsA
	for range record.MaxDepth {
		deep = record.Spec{Threshold: 2, Of: []record.Spec{deep, onePerson}}
	}
	many := record.Spec{Threshold: 2}
	for range record.MaxLeaves + 1 {
		many.Of = append(many.Of, onePerson)
	}
	for _, tt := range []struct {
		name string
		spec record.Spec
		says string // "": a shape that can be
	}{
		{"people", people3of2, ""},
		{"one person", onePerson, ""},
		{"a crowd", record.Spec{Shares: 255, Threshold: 255}, ""},
		{"a KMS", kmsA, ""},
		{"a tree", aAndPeople, ""},
		{"nothing", record.Spec{}, "shares are 1 to 255, not 0"},
		{"256 shares", record.Spec{Shares: 256, Threshold: 2}, "shares are 1 to 255, not 256"},
		{"shares below 0", record.Spec{Shares: -1, Threshold: 2}, "shares are 1 to 255, not -1"},
		{"threshold 0", record.Spec{Shares: 3}, "the threshold is 1 to 3, the number of shares, not 0"},
		{"threshold 4 of 3", record.Spec{Shares: 3, Threshold: 4}, "the threshold is 1 to 3"},
		{"1 of 3", record.Spec{Shares: 3, Threshold: 1}, "use at least 2, or a single share"},
		{"a KMS with shares", record.Spec{KMS: "a", Shares: 3}, "a KMS leaf has neither shares nor a threshold"},
		{"a KMS with a threshold", record.Spec{KMS: "a", Threshold: 1}, "a KMS leaf has neither"},
		{"a KMS with children", record.Spec{KMS: "a", Of: []record.Spec{kmsB}}, "a KMS leaf has neither"},
		{"a KMS of strange name", record.Spec{KMS: "a b"}, `the name "a b" must be`},
		{"a tree with shares", record.Spec{Shares: 2, Threshold: 2, Of: []record.Spec{kmsA, kmsB}}, "an inner node has no shares of its own"},
		{"1 of 2", record.Spec{Threshold: 1, Of: []record.Spec{kmsA, kmsB}}, `for "any one of", use a slot each`},
		{"3 of 2", record.Spec{Threshold: 3, Of: []record.Spec{kmsA, kmsB}}, "the threshold of a tree is 2 to 2"},
		{"a bad child", record.Spec{Threshold: 2, Of: []record.Spec{kmsA, {}}}, "shares are 1 to 255, not 0"},
		{"a deep tree", deep, "a tree has at most 4 levels"},
		{"many leaves", many, "a tree has at most 16 leaves"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.spec.Check()
			switch {
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("%v does not say %q", err, tt.says)
			}
		})
	}
}

func TestAgree(t *testing.T) {
	s := full(t).State
	if err := s.Agree(); err != nil {
		t.Fatal(err)
	}
	some := s.Slots[0].ID
	for _, tt := range []struct {
		name   string
		change func(*record.State)
		says   string
	}{
		{"a term above the last", func(s *record.State) { s.LastTerm-- }, "term 2 is above last_term 1"},
		{"an identity too few", func(s *record.State) { delete(s.Identities, some) }, "not one identity for each slot"},
		{"an identity too many", func(s *record.State) { s.Identities[99] = [32]byte{} }, "not one identity for each slot"},
		{"another slot's identity", func(s *record.State) { s.Identities[99] = s.Identities[some]; delete(s.Identities, some) }, "has no identity"},
		{"another predecessor", func(s *record.State) { s.Previous = make([]byte, 32) }, "names another predecessor"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := s.Clone()
			tt.change(&s)
			if err := s.Agree(); !errors.Is(err, record.ErrMalformed) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v: is no ErrMalformed that says %q", err, tt.says)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "A1", "0", "azure.eu-west_1", strings.Repeat("n", 64)} {
		if err := record.CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, text := range []string{"", " ", "alice@example.com", strings.Repeat("~", 64)} {
		if err := record.CheckIdentity(text); err != nil {
			t.Error(err)
		}
	}
	if err := record.CheckIdentity(strings.Repeat("x", 65)); err == nil || !strings.Contains(err.Error(), "at most 64 printable ASCII") {
		t.Errorf("%v", err)
	}
}
