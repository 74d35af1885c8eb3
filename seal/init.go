package seal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// A Delivery is new shares on their way to their custodians. They exist
// nowhere else: hand them out, then wipe them, as package migrate does when its
// Deliver has returned. A wiped share, and a copy of it in another variable, is
// malformed and its text is empty; names, numbers and what was encrypted to
// custodians stay. Until their slot is proven, losing a Delivery loses nothing.
type Delivery struct {
	// Operation is the id by which an Init can be repeated: whoever has it gets
	// new shares, so it is as secret as they are until a slot is proven. The
	// record, Status, events and errors have a digest of it. Of another call it is
	// what By named: its shares are given back under the id that Prove returns.
	Operation OperationID
	Sets      []ShareSet // empty where no people are involved

	// Pins are the fingerprints, by name, of the new slots that a process which
	// starts will not believe before they are added to [Config.Pins]; nil where none
	// needs one. Of a slot that waits to be proven it is there only where Config.Pins
	// has others: a first pin is for a slot that opens the store. They are not secret.
	Pins map[string]string
}

// A ShareSet is the shares of one leaf.
type ShareSet struct {
	Slot      string
	Path      string // of the leaf in the slot's tree; "" for a lone one
	Set       uint32 // its number, unique in the store
	Threshold int    // how many of Shares open the leaf
	Shares    []Share

	// Where the Spec named custodians: who gets which share, and the share
	// encrypted to them; the Share itself is then the zero one.
	Custodians []string
	Encrypted  [][]byte
	Hints      []string // what who gets it needs to open it, as [Hinter] says; "" for most
}

// Wipe wipes every share.
func (d Delivery) Wipe() {
	for _, set := range d.Sets {
		for _, s := range set.Shares {
			s.Wipe()
		}
	}
}

// Init makes a store: a keyring, a root key, and a slot for each of slots, by
// name. The slots that need no people prove themselves at once, and the Barrier
// is then unsealed. Otherwise it stays sealed, and the first people who unseal
// it prove theirs; until then nothing can be encrypted.
//
// Until a slot is proven, an Init that was interrupted, or whose Delivery was
// lost, can be repeated with the same by.Operation, which is a credential: name
// one that nobody guesses. Without one, Init picks
// one, which the Delivery names, also where Init fails. Whoever comes with another id, or too late,
// gets [ErrUnproven] or [ErrInitialized] and changes nothing. [Admin.InitAgain]
// is the host's own way out.
func (b *Barrier) Init(ctx context.Context, slots map[string]Spec, by By) (Delivery, error) {
	return b.initialize(ctx, slots, by, false)
}

// InitAgain is Init, also over a store that another operation initialized, as
// long as no slot was ever proven. Call it on the word of whoever runs the
// host, never for a bare request: shares that were handed out before open
// nothing afterwards.
func (a *Admin) InitAgain(ctx context.Context, slots map[string]Spec, by By) (Delivery, error) {
	return a.b.initialize(ctx, slots, by, true)
}

func (b *Barrier) initialize(ctx context.Context, slots map[string]Spec, by By, again bool) (Delivery, error) {
	defer clean()()
	if err := by.check(); err != nil {
		return Delivery{}, err
	}
	if len(slots) == 0 {
		return Delivery{}, fmt.Errorf("%w: Init needs at least one slot", ErrConfig)
	}
	for name, spec := range slots {
		if _, err := b.checkSpec(spec); err != nil {
			return Delivery{}, wrapError("init", name, err)
		}
	}
	if by.Operation == "" {
		by.Operation = newOperationID()
	}
	d, err := b.initOnce(ctx, slots, by, again)
	b.emit(EventInit, b.initBy(by), "", "", err)
	if err != nil {
		d.Wipe()
		return Delivery{Operation: by.Operation}, wrapError("init", "", err)
	}
	d.Pins = b.pinsOf(slices.Collect(maps.Keys(slots))...)
	return d, nil
}

// initBy says who made an init, with the digest of its id that the record has:
// the id itself is a credential.
func (b *Barrier) initBy(by By) By {
	store := b.ledger.Newest().Store
	if rec := b.ledger.Parsed(); store == "" && rec != nil {
		store = rec.Store
	}
	return By{Actor: by.Actor, Operation: OperationID(record.InitID(store, string(by.Operation)))}
}

// pins reports whether any slot of the record is pinned. Nothing vouches for it
// yet.
func (b *Barrier) pins(rec *record.Record) bool {
	return slices.ContainsFunc(rec.Slots, func(s record.Slot) bool {
		return b.isPin(s.Fingerprint)
	})
}

func (b *Barrier) initOnce(ctx context.Context, slots map[string]Spec, by By, again bool) (Delivery, error) {
	before, err := b.load(ctx)
	switch {
	case errors.Is(err, ErrUninitialized):
		before = nil
	case err != nil:
		return Delivery{}, err
	case before.Proved():
		return Delivery{}, ErrInitialized
	case len(b.cfg.Pins) > 0 && !b.pins(before.Record):
		return Delivery{}, fmt.Errorf("%w: the configuration pins a record, and this is another one that nobody has unsealed: to begin anew, remove the pins", ErrMissing)
	case !again && !before.BeganWith(string(by.Operation)):
		return Delivery{}, fmt.Errorf("%w: shares were delivered at %s by %s: unseal with them, or repeat that init",
			ErrUnproven, time.Unix(before.Operation.At, 0).UTC().Format(time.RFC3339), before.Operation.Replica)
	}
	if before != nil {
		if err := before.CanInit(); err != nil {
			return Delivery{}, err
		}
	}
	next, root, d, err := b.firstState(ctx, slots, by, before)
	if err != nil {
		return Delivery{}, err
	}
	defer clear(root)
	defer next.Secrets.Wipe()
	draft, stored, err := ledger.Draft(next, root)
	if err != nil {
		return d, err
	}
	old := ""
	if before != nil {
		old = before.Rev
	}
	// Sealed it stays: what the store holds must show that it opens.
	err = b.store(ctx, stored, old, draft)
	if errors.Is(err, ErrConflict) {
		return d, fmt.Errorf("%w: by another caller, just now", ErrInitialized)
	}
	if err != nil {
		return d, err
	}
	as := b.toUnseal()
	err = b.openNew(ctx, len(d.Sets) > 0)
	if _, waits := errors.AsType[waiting](err); waits {
		b.setReason(as, err) // what was said of the store before is over
	}
	if err != nil && !errors.Is(err, ErrSealed) {
		if len(d.Sets) > 0 {
			// People hold shares that open the store. They must have them.
			b.setReason(as, err)
			return d, nil
		}
		return d, fmt.Errorf("the store was made, and does not open yet: repeat with the operation id that the delivery names, or unseal: %w", err)
	}
	b.proveMachines(ctx, By{Actor: by.Actor})
	return d, nil
}

// openNew unseals by the KMS slots of the store just made. Where people are to
// get their shares they do not wait for a KMS that does not answer.
func (b *Barrier) openNew(ctx context.Context, people bool) (err error) {
	if people {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, 2*b.cfg.HeadStart)
		defer cancel()
	}
	for range conflicts { // another replica may have unsealed it, and proved a slot
		l, err := b.load(ctx)
		if err != nil {
			return err
		}
		as := b.toUnseal()
		o, slot, err := b.openByKMS(ctx, l, b.custody)
		if err != nil {
			err = b.openWithShares(ctx, err, as)
		} else if err = b.adoptIfStill(ctx, l, o, slot, byKMS, By{}, as); errors.Is(err, ErrConflict) {
			continue
		}
		if errors.Is(err, errFaster) {
			return nil
		}
		return err
	}
	return ErrConflict
}

// proveMachines has the KMS slots of a store just made prove themselves. One
// that cannot now stays initial, as an event and Status say.
func (b *Barrier) proveMachines(ctx context.Context, by By) {
	ctx, cancel := context.WithTimeout(ctx, 2*b.cfg.HeadStart) // of an answer that people wait for
	defer cancel()
	o, err := b.current()
	if err != nil {
		return // people will unseal it
	}
	defer o.Wipe()
	for _, slot := range o.State.Slots {
		if slot.State == record.Initial && !slot.Tree.NeedsPeople() {
			_ = b.prove(ctx, slot.ID, by, nil)
		}
	}
}

// firstState makes everything a new store holds. A store that replaces one
// never proven keeps its id and numbers, so that older shares are named stale.
func (b *Barrier) firstState(ctx context.Context, slots map[string]Spec, by By, before *ledger.Stored) (record.State, []byte, Delivery, error) {
	root := custody.RandomKey()
	var id [16]byte
	rand.Read(id[:])
	base := record.Record{Store: hex.EncodeToString(id[:]), Root: 1}
	step := b.step(record.Digest{}, by)
	if before != nil {
		step.Previous = before.Digest
		base = *before.Record
		base.Root++
	}
	term := newTerm(&base, record.TermActive)
	d := Delivery{Operation: by.Operation}
	made := make([]record.NewSlot, 0, len(slots))
	defer func() { clear(made) }()
	at := base
	for _, name := range slices.Sorted(maps.Keys(slots)) {
		n, sets, err := b.newSlot(ctx, &at, name, slots[name], root)
		if err != nil {
			d.Wipe()
			return record.State{}, nil, Delivery{}, err
		}
		made = append(made, n)
		d.Sets = append(d.Sets, sets...)
		at.LastSlot++
		for _, set := range sets {
			at.LastSet = max(at.LastSet, set.Set)
		}
	}
	next, err := record.Init(step, base, term, made)
	if err != nil {
		d.Wipe()
		return record.State{}, nil, Delivery{}, err
	}
	return next, root, d, nil
}

// newSlot makes the slot that would be the next one of rec, and has the shares
// made for it.
func (b *Barrier) newSlot(ctx context.Context, rec *record.Record, name string, spec Spec, root []byte) (record.NewSlot, []ShareSet, error) {
	custodians := map[string][]Custodian{}
	if err := custodiansOf(spec, "", custodians); err != nil {
		return record.NewSlot{}, nil, err
	}
	ctx, done := b.until(ctx)
	defer done()
	n, made, err := b.custody.NewSlot(ctx, rec, name, spec.record(), root)
	if err != nil {
		return n, nil, wrapError("protect", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, addressTime)
	defer cancel()
	d := Delivery{}
	for _, set := range made {
		d.Sets = append(d.Sets, shareSet(name, set))
	}
	tree := n.Tree // n itself would move to the heap, and its identity stay there
	for i := range d.Sets {
		set := &d.Sets[i]
		for share, c := range custodians[set.Path] {
			if err := set.address(ctx, share, c); err != nil {
				d.Wipe()
				return n, nil, wrapError("protect", name, err)
			}
			named := tree.At(set.Path).Shamir
			named.Custodians = append(named.Custodians, c.Name)
		}
	}
	return n, d.Sets, nil
}

func shareSet(slot string, made custody.ShareSet) ShareSet {
	set := ShareSet{Slot: slot, Path: made.Path, Set: made.Set, Threshold: made.Threshold}
	for _, part := range made.Shares {
		set.Shares = append(set.Shares, Share{part})
	}
	return set
}
