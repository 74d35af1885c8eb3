package record_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sealwright/sealwright/internal/record"
)

// A fault is what a move did that must not be.
type fault uint8

const (
	none fault = iota
	tookOlder
	unproven
	lostKey
	twoKeys
	twoWork
	twoRetire
	undidSeal
	handedOlder
)

func (f fault) String() string {
	return [...]string{
		tookOlder:   "a process that saw a later record took in one that does not come after it",
		unproven:    "a process was unsealed by a slot that was never proven",
		twoKeys:     "a process has had two keys of one number",
		lostKey:     "a process restored a record, and gave up a data key that it had",
		undidSeal:   "an answer that was asked for before an operator sealed a process has unsealed it",
		handedOlder: "a process was handed the root key of a record by one that knew it to be older than its own",
		twoWork:     "two replicas go through the data at once",
		twoRetire:   "a replica retires a term by a count of before another one took its lease over",
	}[f]
}

// violation checks what must hold in every state. What the model takes for
// granted, since nothing in a record can protect against it: a key does not die
// between the proof that it gives and the swap that relies on it; the host
// re-encrypts data before it retires a term, and no process has that term active
// any more, and puts no data back while the replica that has the lease has counted;
// and what is said of the numbers of terms, and of who was dropped,
// holds as long as nobody changes an old record before the door is used.
func (m *model) violation(w *world) string {
	if w.wrong != none {
		return w.wrong.String()
	}
	if w.store == 0 {
		return ""
	}
	if text := m.held(w); text != "" {
		return text
	}
	e := m.at(w.store)
	switch data := m.sets.members[w.written]; {
	case !e.state.Proved() && len(data) == 0:
		return "" // nothing to lose: init is made again
	case !m.opens(w, e):
		return "neither the old custodians nor the new ones open the store"
	case !e.state.Proved():
		return "data was written before any slot was proven"
	default:
		for _, key := range data {
			if text := m.misses(w, e, key); text != "" {
				return text
			}
		}
	}
	if text := m.stuck(e); text != "" {
		return text
	}
	if w.line != straight {
		return "" // whom an old record put back lets in again, nobody can say
	}
	if m.sets.has(w.leaked, e.active) {
		return fmt.Sprintf("term %d encrypts, and a dropped custodian knows it", number(e, e.active))
	}
	if m.sets.has(w.leaked, e.root) {
		return "a dropped custodian knows the root key, and with it every term to come"
	}
	return ""
}

// held says which replica waits where it need not: for one key, where others would
// unseal it or nothing is to be asked; or for a Seal, with the shares there.
func (m *model) held(w *world) string {
	for i := range w.replica {
		r := &w.replica[i]
		if m.faults.deaf && m.behind(w, i) {
			return fmt.Sprintf("%s cannot take in what is stored, and the shares that open it do nothing there", who(i))
		}
		if r.waits == 0 || !m.accepts(r, w.store) {
			continue
		}
		if r.open && r.mark != w.store && m.at(r.mark).root == m.at(w.store).root {
			return fmt.Sprintf("%s waits for a key, and does not take in what is stored, for which it needs none", who(i))
		}
		if !r.open && slices.ContainsFunc(m.at(w.store).locks, func(l lock) bool {
			return l.state != record.Pending && l.right && m.willing(w, &l, m.knows[i], true, true)
		}) {
			return fmt.Sprintf("%s waits for a key, and those who would unseal it now are not heard", who(i))
		}
	}
	return ""
}

// stuck says who could not be evicted, for want of room. It is asked where a
// scenario begins near the end of something.
func (m *model) stuck(e *entry) string {
	if m.near == "" {
		return ""
	}
	if e.stuck == nil {
		text := m.evictable(e)
		e.stuck = &text
	}
	return *e.stuck
}

func (m *model) evictable(e *entry) string {
	k := &maker{m, naming{}, e}
	s := &e.state
	full := func(err error) bool { return errors.Is(err, record.ErrFull) || errors.Is(err, record.ErrExhausted) }
	r, _ := k.rewrap(nil, false)
	if _, err := s.RotateRoot(record.Step{}, r); full(err) {
		return "data was written, and nothing can be stored any more"
	}
	for i := range s.Slots {
		for j := range s.Slots {
			o, by := &s.Slots[i], &s.Slots[j]
			if i == j || o.State != record.Active || by.State != record.Active {
				continue
			}
			r, _ := k.rewrap([]uint32{o.ID}, true)
			f := proofOf(s, by)
			if _, err := s.Drop(record.Step{Operation: e.op}, []uint32{o.ID}, &f, r); full(err) {
				return fmt.Sprintf("the slot of %s cannot be dropped any more, for want of room, though that of %s opens the store", called(o.Name), called(by.Name))
			}
		}
	}
	return ""
}

// opens reports whether some slot opens the stored record, for one of the
// replicas, now or when a key that is cut off answers again.
func (m *model) opens(w *world, e *entry) bool {
	return slices.ContainsFunc(e.locks, func(l lock) bool {
		return l.state != record.Pending && l.right && slices.ContainsFunc(m.knows[:], func(knows byte) bool {
			return m.willing(w, &l, knows, false, true)
		})
	})
}

func number(e *entry, key id) uint32 {
	return e.state.Terms[slices.Index(e.terms, key)].Number
}

// misses says what is wrong with data under that key: it must be readable, or
// be lost with a record that was replaced by an older one, and then its number
// must tell.
func (m *model) misses(w *world, e *entry, key id) string {
	if slices.Contains(e.terms, key) {
		return ""
	}
	for _, r := range w.lost {
		lost := m.at(r)
		if !slices.Contains(lost.terms, key) {
			continue
		}
		n := number(lost, key)
		switch {
		case slices.ContainsFunc(e.state.Terms, func(t record.Term) bool { return t.Number == n }):
			if w.line != astray {
				return fmt.Sprintf("data was written under term %d, and the stored record has another key of that number", n)
			}
		case w.line == putBack && n <= e.state.LastTerm && m.descends(r, w.store):
			return fmt.Sprintf("data was written under term %d, which is lost and does not look newer than the record", n)
		}
		return ""
	}
	return "data was written under a term that is not in the stored record"
}
