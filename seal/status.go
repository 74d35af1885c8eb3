package seal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
)

// Status is how a Barrier is. It comes from memory: it neither waits nor calls
// anybody, so that it can be asked at any time.
type Status struct {
	Replica  string
	Sealed   bool
	Reason   error         // why it is sealed; nil while unsealed
	Progress []SetProgress // shares given so far for unsealing
	Memory   MemoryStatus

	// What follows is known from the first unseal on, and kept while sealed.
	Store      string // the store's id, 32 hex digits
	Generation uint64 // of the newest record seen

	// What follows is known while unsealed.
	Slots     []SlotStatus
	Operation *OperationStatus // in progress; nil if none is
	Lease     *LeaseStatus     // of the replica that works on the data; nil if none does
	Terms     []TermStatus     // oldest first
	Former    []uint32         // sets of shares that open nothing any more, oldest first, as far as they are remembered
	Warnings  []string         // what an operator should mend, in words

	Members []MemberStatus // the other replicas, by name; nil where there is no [Config.Roster]

	// Behind says, while unsealed, why this process cannot take in the record
	// that the store holds now, and Since from when on; nil where it follows. It
	// goes on with the keys it has, and cannot read what others write under
	// newer ones. Where it is [ErrRootMoved], shares given to it open the new
	// record without a Seal.
	Behind      error
	BehindSince time.Time
}

// MemoryStatus is how this process keeps the root key and the data keys while
// it is unsealed, and what is derived from them. It is about what stays: a key
// passes through ordinary memory while something is done with it, and is wiped
// there.
type MemoryStatus struct {
	Locked     bool   // never swapped out
	Undumpable bool   // left out of core dumps
	Reason     string // what was in the way, where either is false
}

// SetProgress counts the shares given of one set.
type SetProgress struct {
	Slot      string
	Path      string // of the leaf in the slot's tree; "" for a lone one
	Set       uint32
	Given     int
	Threshold int
	Shares    int
	Expires   time.Time // when the first of the shares given is wiped: see [Config.ShareTTL]; zero: never
}

// SlotStatus is how a slot is.
type SlotStatus struct {
	Name        string
	Spec        Spec
	State       SlotState
	Custodians  []string    // of its shares, as far as they were named
	Sets        []uint32    // of its shares; empty where no people are involved
	Leaves      []Leaf      // what protects it, one for each leaf of its Spec
	Fingerprint string      // 24 hex digits; the slot's pin for [Config.Pins]
	AtStart     error       // why a process that starts with this configuration would not believe the slot; nil if it would
	NeedsPin    bool        // that is ErrUnpinned: pin the slot
	Proven      time.Time   // when it last opened the stored record, by the prover's clock; zero if never
	ProvenTo    OperationID // to which it did so then, of an operation in progress only if since that began
	Drilled     time.Time   // when this process last tried: a drill, or to unseal; zero if never
	DrillError  error       // what came of it
	Notes       []string    // what the KMS said of its keys then, worth a warning
	Moved       bool        // whether the configuration would wrap it with other keys: see [Admin.Renew]
}

// A Leaf is what protects one leaf of a slot's tree: shares, or a key of a KMS.
type Leaf struct {
	Path string // in the slot's tree; "" for a lone one

	// Of shares.
	Set        uint32 // 0: it is a key
	Threshold  int
	Shares     int
	Custodians []string // who holds the share 1, 2 and so on; empty where nobody was named

	// Of a key: what wrapped it.
	KMS     string // name in [Config.KMS]; "": it is shares
	Type    string // of the KMS, as in [kms.Blob]
	KeyID   string
	Version string // "" where the KMS does not tell, or keeps its versions to itself
}

// SlotState is what a slot is good for.
type SlotState string

const (
	// SlotInitial was made by Init and opens the store, which proves it.
	SlotInitial SlotState = record.Initial
	// SlotPending does not open the store until it is proven.
	SlotPending SlotState = record.Pending
	// SlotActive was proven, and opens the store.
	SlotActive SlotState = record.Active
)

// OperationStatus is an operation in progress.
type OperationStatus struct {
	ID       OperationID
	Kind     OperationKind
	Slot     string // what is to be proven; "" for other kinds
	Replica  string // where its shares are gathered
	Actor    string
	Began    time.Time
	Progress []SetProgress // of this replica
	Goals    []Goal        // of a drop or a migration
}

// TermState is what a data key is good for.
type TermState string

const (
	// TermPassive only decrypts, until every replica knows it.
	TermPassive TermState = "passive"
	// TermActive is the one that encrypts.
	TermActive TermState = "active"
	// TermOld decrypts what was encrypted before a later one was active.
	TermOld TermState = "old"
)

// TermStatus is a data key, without the key.
type TermStatus struct {
	Number  uint32
	State   TermState
	Created time.Time
}

// Status returns how the Barrier is.
func (b *Barrier) Status() Status {
	b.expireShares()
	s, slots := b.status()
	beside := b.pinned(slots)
	for i := range slots { // without the lock: it asks the host's wrappers
		slot := &s.Slots[i]
		slot.AtStart = b.unbelieved(&slots[i], beside, slot.DrillError)
		slot.NeedsPin = errors.Is(slot.AtStart, ErrUnpinned)
	}
	if !s.Sealed {
		s.Warnings = append(b.warnings(s), s.Warnings...)
	}
	return s
}

// status returns what is known in memory, and the slots as the record has them.
func (b *Barrier) status() (Status, []record.Slot) {
	newest := b.ledger.Newest()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{
		Replica: b.cfg.Replica, Sealed: b.open == nil, Reason: b.why,
		Store: newest.Store, Generation: newest.Generation,
		Memory: MemoryStatus(aead.Memory()),
	}
	if b.open == nil {
		s.Progress = b.counted("", b.progress)
		return s, nil
	}
	s.Behind, s.BehindSince = b.behind.why, b.behind.since
	if s.Behind != nil {
		s.Progress = b.counted("", b.progress)
	}
	st := &b.open().State
	for i := range st.Slots {
		slot := &st.Slots[i]
		out := clearStatus(slot)
		if slot.Proven != nil {
			out.ProvenTo = provenTo(st, slot)
		}
		d := b.drills.last(slot)
		out.Drilled, out.DrillError = d.at, d.err
		for _, n := range d.notes {
			out.Notes = append(out.Notes, n.Text)
			out.Moved = out.Moved || n.Moved
		}
		s.Slots = append(s.Slots, out)
	}
	if o := st.Operation; o != nil {
		s.Operation = &OperationStatus{
			ID: OperationID(o.ID), Kind: OperationKind(o.Kind), Slot: o.Slot, Replica: o.Replica, Actor: o.Actor,
			Began: time.Unix(o.At, 0).UTC(),
		}
		if g := b.gathers[OperationID(o.ID)]; g != nil {
			s.Operation.Progress = b.counted(OperationID(o.ID), progressOf(&st.Record, g))
		}
		for _, g := range o.Desired {
			goal := Goal{Name: g.Name, Drop: g.Drop}
			if g.Spec != nil {
				goal.Spec = specOf(*g.Spec)
			}
			s.Operation.Goals = append(s.Operation.Goals, goal)
		}
	}
	s.Lease = b.leaseStatus(st.Lease)
	s.Former = formerSets(&st.Record)
	for _, t := range st.Terms {
		s.Terms = append(s.Terms, TermStatus{Number: t.Number, State: termState(t.State), Created: time.Unix(t.Created, 0).UTC()})
	}
	s.Members = b.members()
	s.Warnings = append(b.fullness(st), b.rosterTrouble(st)...)
	if w := skew(st.Journal, now(), b.cfg.Replica); w != "" {
		s.Warnings = append(s.Warnings, w)
	}
	return s, slices.Clone(st.Slots)
}

// provenTo is the operation that a slot was last proven to. Ids come again, as
// that of a migration to the same plan: what was said to the one before was not
// said to the one in progress.
func provenTo(st *record.State, slot *record.Slot) OperationID {
	if o := st.Operation; o != nil && o.ID == slot.Proven.Operation && slot.Proven.Generation < o.Began {
		return ""
	}
	return OperationID(slot.Proven.Operation)
}

func (b *Barrier) warnings(s Status) []string {
	out := b.ledger.Warnings()
	if s.Behind != nil {
		out = append(out, fmt.Sprintf("this process cannot take in the stored record, since %s: what others write is not readable here: %v", stamp(s.BehindSince.Unix()), s.Behind))
	}
	opens := 0
	for _, slot := range s.Slots {
		if slot.State != SlotPending {
			opens++
		}
		if slot.DrillError != nil && !atStart(slot.DrillError) {
			out = append(out, fmt.Sprintf("slot %q does not open the store now: do not restart unless another slot does: %v", slot.Name, slot.DrillError))
		}
		if slot.NeedsPin && slot.State == SlotPending && len(b.cfg.Pins) == 0 {
			out = append(out, fmt.Sprintf("slot %q is not pinned: when it is proven, add %s to the pins", slot.Name, slot.Fingerprint))
		} else if slot.NeedsPin {
			out = append(out, fmt.Sprintf("slot %q is not pinned: it will not unseal after a restart; add %s to the pins", slot.Name, slot.Fingerprint))
		}
		if w := b.unexpected(&slot); w != "" {
			out = append(out, w)
		}
		for _, note := range slot.Notes {
			out = append(out, fmt.Sprintf("slot %q: %s", slot.Name, note))
		}
		if slot.State == SlotInitial {
			out = append(out, fmt.Sprintf("slot %q was never proven: unseal with it once", slot.Name))
		}
	}
	if opens == 1 {
		out = append(out, "a single slot opens the store: whoever loses it loses everything; add another")
	}
	if len(b.cfg.Pins) > 0 && !slices.ContainsFunc(s.Slots, func(o SlotStatus) bool {
		return o.State != SlotPending && slices.ContainsFunc(b.cfg.Pins, func(pin string) bool { return strings.EqualFold(pin, o.Fingerprint) })
	}) {
		out = append(out, "no slot of the store is pinned: after a restart nothing unseals it, shares neither; set the pins to the slots' fingerprints")
	}
	switch err := b.ledger.AnchorError(); {
	case errors.Is(err, ErrForked):
		out = append(out, fmt.Sprintf("this process would not open the store after a restart: join the halves, or take the anchor away: %v", err))
	case err != nil:
		out = append(out, fmt.Sprintf("the anchor is behind, a rollback to its generation would not be noticed at a start: %v", err))
	}
	if b.cfg.TrustUnpinned {
		out = append(out, "forgeable slots are believed without a pin (TrustUnpinned)")
	}
	return out
}

// unexpected says what is wrong with the shape of a slot, for a process that
// starts.
func (b *Barrier) unexpected(slot *SlotStatus) string {
	want, ok := b.cfg.Shapes[slot.Name]
	_, tree := slot.Spec.(Threshold)
	switch {
	case len(b.cfg.Shapes) > 0 && !ok:
		return fmt.Sprintf("slot %q is not among Config.Shapes: it will not unseal after a restart; add it", slot.Name)
	case errors.Is(slot.AtStart, ErrUnexpected):
		return fmt.Sprintf("slot %q is %v, and Config.Shapes has %v: it will not unseal after a restart; set it", slot.Name, slot.Spec, want)
	case tree && !ok && len(b.cfg.Pins) == 0:
		return fmt.Sprintf("slot %q is a tree that is neither pinned nor among Config.Shapes: whoever uses one of its keys and can write to the store can have a store of their own believed under its name", slot.Name)
	}
	return ""
}

// fullness says what of the record is half full.
func (b *Barrier) fullness(st *record.State) (out []string) {
	for _, l := range st.Levels(b.limit) {
		if l.Half() {
			out = append(out, fmt.Sprintf("the record is %d %% full (%s: %d of %d): rewrap the data and retire old terms; when it is full, rotations and new slots are refused",
				100*l.Used/l.Limit, l.What, l.Used, l.Limit))
		}
	}
	return out
}

func termState(s record.TermState) TermState {
	switch s {
	case record.TermActive:
		return TermActive
	case record.TermPassive:
		return TermPassive
	}
	return TermOld
}

// progressOf lists the sets of which shares were given.
func progressOf(rec *record.Record, g *custody.Quorum) []SetProgress {
	var out []SetProgress
	custody.EachSet(rec, func(slot *record.Slot, leaf *record.Shares, path string) {
		if n := g.Count(leaf.Set); n > 0 {
			out = append(out, SetProgress{Slot: slot.Name, Path: path, Set: leaf.Set, Given: n, Threshold: leaf.Threshold, Shares: leaf.Shares})
		}
	})
	return out
}
