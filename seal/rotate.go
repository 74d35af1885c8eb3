package seal

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/keyring"
)

// Rotate adds a term: a new data key. With [Config.Propagation] zero it is
// active at once; otherwise it is only read at first, and Run, on any replica,
// activates it when that time has passed. Data under older terms stays
// readable.
func (b *Barrier) Rotate(ctx context.Context, by By) error {
	_, err := b.rotateFrom(ctx, math.MaxUint32, by)
	return err
}

// rotated is the record with a term more.
func (b *Barrier) rotated(st record.Step, o *ledger.Opened) (record.State, []byte, error) {
	state := record.TermActive
	if b.cfg.Propagation > 0 {
		state = record.TermPassive
	}
	next, err := o.State.Rotate(st, newTerm(&o.State.Record, state))
	return next, nil, err
}

// Activate makes a passive term the one that encrypts, as Run does when
// [Config.Propagation] has passed, and each replica that the [Config.Roster] has has
// taken it in; until then it fails with [ErrPropagating], and for a term that does
// not wait to be activated with [ErrConfig].
func (a *Admin) Activate(ctx context.Context, term uint32, by By) error {
	a.b.lookAtRoster(ctx)
	return a.b.activate(ctx, term, by, false, func() error { return a.b.seenByAll(term) })
}

// errMade is of a change that Run makes by itself, and that another replica
// has made already: no failure, and nothing to tell of.
var errMade = errors.New("seal: another replica has done it")

// activate is Activate, or, for Run, which does what is left to do. Seen tells
// whether others have the term.
func (b *Barrier) activate(ctx context.Context, term uint32, by By, run bool, seen func() error) error {
	return b.changeTerm(ctx, EventActivate, "activate", by, term, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		if run && !waits(&o.State, term) {
			return record.State{}, nil, errMade
		}
		if err := activatable(&o.State, term); err != nil {
			return record.State{}, nil, err
		}
		if err := seen(); err != nil {
			return record.State{}, nil, err
		}
		next, err := o.State.Activate(st, term)
		return next, nil, err
	})
}

// waits reports whether a term is there, and not active yet.
func waits(s *record.State, term uint32) bool {
	for i := range s.Terms {
		if t := &s.Terms[i]; t.Number == term {
			return t.State == record.TermPassive
		}
	}
	return false
}

// RetireUncounted removes a term. Whatever is still encrypted under it is lost,
// and nothing here looks whether there is any: migrate.Retire does, and is the
// one to use. Without it, rewrap the data and count what is left, after
// [Admin.CheckRetire] has said that no replica writes under the term any more;
// until then RetireUncounted fails with [ErrPropagating]. The active term cannot
// go ([ErrTermInUse]).
func (a *Admin) RetireUncounted(ctx context.Context, term uint32, by By) error {
	if err := a.CheckRetire(ctx, term); errors.Is(err, ErrPropagating) {
		return wrapError("retire", "", err)
	}
	return a.RetireUnseen(ctx, term, by)
}

// RetireUnseen is [Admin.RetireUncounted] also where another replica may not
// have seen the active term yet, or is known by the [Config.Roster] not to have it:
// what that one goes on writing under the retired term is lost. It is for a host
// that knows there is no other, or that it does not run.
func (a *Admin) RetireUnseen(ctx context.Context, term uint32, by By) error {
	return a.b.changeTerm(ctx, EventRetire, "retire", by, term, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		if err := a.b.checkRetirable(&o.State, term); err != nil {
			return record.State{}, nil, err
		}
		next, err := o.State.Retire(st, term)
		return next, nil, err
	})
}

// RotateRoot replaces the root key and re-encrypts it to every slot, in one
// swap, with no custodian present and no KMS called. It does not lock out
// somebody who once held what opens a slot: rekey that slot. Other replicas
// follow through a KMS slot; where there is none, or none that a drill found
// good, and [Config.Propagation] says that there are others, or where the
// [Config.Roster] has one that could not follow, it changes nothing and returns
// [ErrStrands].
func (a *Admin) RotateRoot(ctx context.Context, by By) error {
	return a.b.rotateRoot(ctx, by, false)
}

func (b *Barrier) rotateRoot(ctx context.Context, by By, stranding bool) error {
	if !stranding {
		b.lookAtRoster(ctx)
	}
	return b.change(ctx, EventRotateRoot, "rotate root", by, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		if !stranding {
			if err := b.strands(&o.State); err != nil {
				return record.State{}, nil, err
			}
		}
		rewrap, root, err := newRoot(&o.State, nil, false)
		if err != nil {
			return record.State{}, nil, err
		}
		next, err := o.State.RotateRoot(st, *rewrap)
		return next, root, err
	})
}

// change is commit, its event and its error.
func (b *Barrier) change(ctx context.Context, event EventKind, op string, by By, f change) error {
	if err := by.check(); err != nil {
		return err
	}
	err := b.commit(ctx, event, by, f)
	b.emit(event, by, "", "", err)
	return wrapError(op, "", err)
}

// changeTerm is change of a term, which the event names. That another replica was
// first is returned, and nobody is told.
func (b *Barrier) changeTerm(ctx context.Context, event EventKind, op string, by By, term uint32, f change) error {
	if err := by.check(); err != nil {
		return err
	}
	err := b.commit(ctx, event, by, f)
	if errors.Is(err, errMade) {
		return err
	}
	b.emit(event, by, "", termDetail(term), err)
	return wrapError(op, "", err)
}

// termDetail names a term in an event.
func termDetail(term uint32) string { return fmt.Sprintf("term %d", term) }

// newRoot makes a root key and encrypts it to every slot but those that go.
func newRoot(s *record.State, without []uint32, withTerm bool) (*record.NewRoot, []byte, error) {
	root := custody.RandomKey()
	r := &record.NewRoot{Root: s.Root + 1, Wraps: map[uint32][]byte{}}
	for i := range s.Slots {
		slot := &s.Slots[i]
		if slices.Contains(without, slot.ID) {
			continue
		}
		wrap, err := custody.WrapRoot(slot.PublicKey, s.Store, slot.ID, r.Root, root)
		if err != nil {
			clear(root)
			return nil, nil, wrapError("re-encrypt the root key to", slot.Name, err)
		}
		r.Wraps[slot.ID] = wrap
	}
	if withTerm {
		term := newTerm(&s.Record, record.TermActive)
		r.Term = &term
	}
	return r, root, nil
}

// newTerm makes the next term of a record.
func newTerm(r *record.Record, state record.TermState) record.Term {
	t := record.Term{Number: r.LastTerm + 1, State: state, Created: now()}
	rand.Read(t.Key[:])
	return t
}

// keyringTerms makes the keyring's terms of the record's. The keyring clears
// the keys in them.
func keyringTerms(terms []record.Term) []keyring.Term {
	out := make([]keyring.Term, len(terms))
	for i := range terms {
		t := &terms[i]
		out[i] = keyring.Term{Number: t.Number, Key: keyring.Key(t.Key), Active: t.State == record.TermActive, Created: time.Unix(t.Created, 0)}
	}
	return out
}

func equalSecret(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// An observation is when this process first saw a passive term.
type observation struct {
	since time.Time // with its monotonic reading
}

// observe notes the passive terms; b.mu is held.
func (b *Barrier) observe(terms []record.Term) {
	seen := map[uint32]observation{}
	for i := range terms {
		t := &terms[i] // a copy of the key would stay on the stack
		if t.State != record.TermPassive {
			continue
		}
		o, ok := b.observed[t.Number]
		if !ok {
			o = observation{time.Now()}
		}
		seen[t.Number] = o
	}
	b.observed = seen
}
