package record_test

import (
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
)

func (f fault) String() string {
	return [...]string{
		tookOlder: "a process that saw a later record took in one that does not come after it",
		unproven:  "a process was unsealed by a slot that was never proven",
		twoKeys:   "a process has had two keys of one number",
		lostKey:   "a process restored a record, and gave up a data key that it had",
	}[f]
}

// violation checks what must hold in every state. What the model takes for
// granted, since nothing in a record can protect against it: a key does not die
// between the proof that it gives and the swap that relies on it; the host
// re-encrypts data before it retires a term, and no process has that term active
// any more; and what is said of the numbers of terms, and of who was dropped,
// holds as long as nobody changes an old record before the door is used.
func (m *model) violation(w *world) string {
	if w.wrong != none {
		return w.wrong.String()
	}
	if w.store == 0 {
		return ""
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
