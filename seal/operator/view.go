package operator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A view is how the store and the server are, in the terms of Vault's API.
type view struct {
	seal.Status
	err         error // why the record could not be read; nil while unsealed
	initialized bool
	plan        migrate.Plan
	planErr     error
	pending     bool // the plan is not reached
}

// lookTimeout bounds how long a look waits for the store: whoever asks how the
// server is must be answered while the store hangs.
const lookTimeout = 3 * time.Second

// look never fails: a status page says what it knows.
func (h *handler) look(ctx context.Context) view {
	bounded, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var v view
	v.Status, v.err = h.Barrier.Admin().Inspect(bounded)
	// A store that was not reached is never said to be empty.
	v.initialized = !errors.Is(v.err, seal.ErrUninitialized)
	if v.err != nil {
		v.Reason = v.err
	}
	v.plan, v.planErr = h.Plan(bounded)
	if v.planErr != nil {
		v.planErr = fmt.Errorf("operator: the configured plan: %w", v.planErr)
	}
	if len(v.plan.Slots) == 0 && len(v.plan.Drop) > 0 {
		// Only what is to go was said: the people slots stay as they are.
		v.plan.Slots = map[string]seal.Spec{}
		for _, s := range v.Slots {
			if s.State != seal.SlotPending && seal.HasPeople(s.Spec) && !slices.Contains(v.plan.Drop, s.Name) {
				v.plan.Slots[s.Name] = s.Spec
			}
		}
	}
	v.pending = v.initialized && v.err == nil && v.planErr == nil && len(v.plan.Slots) > 0 && slices.ContainsFunc(v.plan.Moves(v.Status), func(m migrate.Move) bool {
		// What Init made is what the plan wants, also before people have shown it.
		return m.Kind != migrate.MoveProve || waiting(v.Status, m.Slots[0]) != nil
	})
	return v
}

// proved reports whether any slot was ever proven: before that nothing is
// encrypted, and an init can be repeated.
func (v *view) proved() bool {
	return slices.ContainsFunc(v.Slots, func(s seal.SlotStatus) bool { return s.State == seal.SlotActive })
}

// specs returns what protects the store, by slot: as the plan wants it while a
// migration is pending or nothing is there yet, as Vault shows it.
func (v *view) specs() map[string]seal.Spec {
	out := map[string]seal.Spec{}
	for _, s := range v.Slots {
		if s.State != seal.SlotPending {
			out[s.Name] = s.Spec
		}
	}
	if v.pending || !v.initialized {
		maps.Copy(out, v.plan.Slots)
		for _, name := range v.plan.Drop {
			delete(out, name)
		}
	}
	return out
}

// machine returns the name of the first slot that opens without people, and
// whether there is one: Vault calls the store's seal an auto seal then.
func machine(specs map[string]seal.Spec) (string, bool) {
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		if !seal.NeedsPeople(specs[name]) {
			return name, true
		}
	}
	return "", false
}

// sealType is the seal's type as Vault names it.
func (v *view) sealType() (name string, auto bool) {
	if name, auto = machine(v.specs()); auto {
		return name, true
	}
	return "shamir", false
}

// people returns the slot that people hold: the one named, or the first.
func (v *view) people(name string) *seal.SlotStatus {
	var found *seal.SlotStatus
	for i := range v.Slots {
		s := &v.Slots[i]
		if s.State != seal.SlotPending && seal.HasPeople(s.Spec) && (found == nil || s.Name == name) {
			found = s
		}
	}
	return found
}

// waiting returns the slot of that name that waits to be proven before it opens
// anything, or nil.
func waiting(s seal.Status, name string) *seal.SlotStatus { return find(s, name, seal.SlotPending) }

// unverified returns the slot of that name whose shares nobody has shown yet:
// the one that waits, or the one that Init made. Nil if there is none.
func unverified(s seal.Status, name string) *seal.SlotStatus {
	if slot := waiting(s, name); slot != nil {
		return slot
	}
	return find(s, name, seal.SlotInitial)
}

func find(s seal.Status, name string, state seal.SlotState) *seal.SlotStatus {
	for i := range s.Slots {
		if s.Slots[i].Name == name && s.Slots[i].State == state {
			return &s.Slots[i]
		}
	}
	return nil
}

// agreed reports whether people proved a slot to that operation. It stands in
// the record; how many shares were given says nothing of it, where a tree needs
// several quorums, or a key beside them.
func agreed(s seal.Status, op seal.OperationID, slot string) bool {
	return slices.ContainsFunc(s.Slots, func(o seal.SlotStatus) bool {
		return (slot == "" || o.Name == slot) && o.State == seal.SlotActive && o.ProvenTo == op && seal.HasPeople(o.Spec)
	})
}

// quorum returns the threshold and the number of shares of the first set of a
// shape; zeros for one without people.
func quorum(spec seal.Spec) (t, n int) {
	switch spec := spec.(type) {
	case seal.Shamir:
		return spec.Threshold, spec.Shares
	case seal.Threshold:
		for _, child := range spec.Of {
			if t, n := quorum(child); t > 0 {
				return t, n
			}
		}
	}
	return 0, 0
}

// given returns how many shares of the slot's fullest set were given.
func given(progress []seal.SetProgress, slot string) int {
	n := 0
	for _, p := range progress {
		if p.Slot == slot {
			n = max(n, p.Given)
		}
	}
	return n
}
