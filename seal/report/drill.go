package report

import (
	"fmt"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// A Campaign is a custody drill: from Began on each custodian of the slot is asked to
// have the share checked. It has no other state, so that whoever keeps the events
// and knows the day can go on with it after a restart.
type Campaign struct {
	Slot  string
	Began time.Time
	Until time.Time // when it is over, whoever is missing then; zero: when all have confirmed
}

func (c Campaign) check(s seal.Status, at time.Time) error {
	switch {
	case c.Began.IsZero():
		return fmt.Errorf("%w: a campaign with no beginning", ErrInput)
	case c.Began.After(at):
		return fmt.Errorf("%w: a campaign that begins on %s, after the report", ErrInput, stamp(c.Began))
	case !c.Until.IsZero() && !c.Until.After(c.Began):
		return fmt.Errorf("%w: a campaign that ends on %s, before it begins", ErrInput, stamp(c.Until))
	case find(s, c.Slot) == nil:
		return fmt.Errorf("%w: a campaign for slot %q, and no such slot is held by people", ErrInput, line(c.Slot))
	}
	return nil
}

// find returns the slot of that name that people hold: the one that opens the store,
// or else the one that waits.
func find(s seal.Status, name string) (found *seal.SlotStatus) {
	for i := range s.Slots {
		o := &s.Slots[i]
		if o.Name == name && len(o.Sets) > 0 && (found == nil || o.State != seal.SlotPending) {
			found = o
		}
	}
	return found
}

// DrillState is how a custody drill is.
type DrillState string

const (
	DrillRunning  DrillState = "running"
	DrillComplete DrillState = "complete" // all have confirmed
	DrillOver     DrillState = "over"     // its time is over, and somebody is missing
)

// A Drill is how far a [Campaign] is.
type Drill struct {
	Slot      string     `json:"slot"`
	Began     time.Time  `json:"began"`
	Until     time.Time  `json:"until,omitzero"`
	State     DrillState `json:"state"`
	Asked     int        `json:"asked"`     // shares
	Confirmed int        `json:"confirmed"` // of them, since it began
	Met       bool       `json:"met"`       // the confirmed ones open the slot, its keys willing
	Sets      []Set      `json:"sets"`
	Attempts  []Attempt  `json:"attempts"`       // with shares that were wrong since it began, newest first
	More      int        `json:"more,omitempty"` // that are not listed
}

// end is when a campaign is looked at: what comes after its end is not of it.
func (c Campaign) end(at time.Time) time.Time {
	if !c.Until.IsZero() && c.Until.Before(at) {
		return second(c.Until)
	}
	return at
}

// drill says how far a campaign is, by the events up to its end.
func (t *trail) drill(s *seal.Status, c Campaign, at time.Time) Drill {
	slot := find(*s, c.Slot)
	d := Drill{Slot: line(c.Slot), Began: second(c.Began), Until: second(c.Until), State: DrillRunning, Sets: t.held(slot, second(c.Began))}
	d.Attempts, d.More = few(t.attempts(second(c.Began)))
	for i := range d.Sets {
		d.Asked += d.Sets[i].Shares
		d.Confirmed += d.Sets[i].Confirmed
	}
	d.Met = met(slot.Spec, d.Sets)
	switch {
	case d.Confirmed == d.Asked:
		d.State = DrillComplete
	case !d.Until.IsZero() && at.After(d.Until):
		d.State = DrillOver
	}
	return d
}

// met reports whether the confirmed shares of the sets, in their order, open a slot
// of that shape: its keys are taken to be willing, but never for all of it.
func met(spec seal.Spec, sets []Set) bool {
	people := false
	var suffices func(seal.Spec) bool
	suffices = func(spec seal.Spec) bool {
		switch spec := spec.(type) {
		case seal.KMS:
			return true
		case seal.Threshold:
			n := 0
			for _, child := range spec.Of {
				if suffices(child) {
					n++
				}
			}
			return n >= spec.K
		}
		if len(sets) == 0 {
			return false
		}
		ok := sets[0].Confirmed >= sets[0].Threshold
		people = people || ok
		sets = sets[1:]
		return ok
	}
	return suffices(spec) && people
}
