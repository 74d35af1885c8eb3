package record_test

import "github.com/sealwright/sealwright/internal/record"

// The roster: what replicas say of themselves beside the record. Time alone shows
// that a replica has the active term which looks at the store as often as it
// should; one that hangs goes on encrypting, and only what it said before tells
// what under.
//
// What the model takes for granted: a replica tells of itself before it hangs; and
// who retires a term was unsealed, and has looked, before the roster was taken away.
// Who does that, and waits for a restart, takes away what the roster adds, and no
// more: then time decides.

// A told is what a replica has said of itself, and how it is; the zero value has
// said nothing.
type told struct {
	term   uint8 // that it encrypts under; 0: it has said nothing
	newest uint8 // that it can read
	hangs  bool  // it takes in nothing, tells nothing, and encrypts
	blind  bool  // it was sealed when the roster was taken away
}

// tells is what an unsealed replica says of itself, and its hanging.
func (m *model) tells(w *world, i int, f func(string, world)) {
	r, e := &w.replica[i], m.at(w.replica[i].mark)
	if w.budget[hangs] == 0 && r.told == (told{}) || !r.open || len(e.state.Terms) == 0 || !e.state.Proved() {
		return
	}
	now := told{uint8(number(e, e.active)), uint8(e.state.LastTerm), false, r.told.blind}
	if r.told != now && w.roster == whole { // else nobody hears it
		n := *w
		n.replica[i].told = now
		f(m.say("%s tells the roster: it encrypts under term %d, and reads term %d.", who(i), now.term, now.newest), n)
	}
	if r.told.term != 0 && w.budget[hangs] > 0 {
		n := *w
		n.budget[hangs]--
		n.replica[i].told.hangs = true
		f(m.say("%s hangs: it looks at nothing any more, and goes on encrypting.", who(i)), n)
	}
}

// wakes has a replica that hangs go on.
func (m *model) wakes(w *world, i int, f func(string, world)) {
	n := *w
	n.replica[i].told.hangs = false
	f(m.say("%s does not hang any more.", who(i)), n)
}

// takeRoster has somebody take the roster away, or write into it what they like.
func (m *model) takeRoster(w *world, f func(string, world)) {
	if w.budget[rosters] == 0 || w.roster != whole {
		return
	}
	for _, state := range []rosterState{away, forged} {
		if state == forged && !m.faults.rosterBelieved {
			continue // entries of others are passed by: it is as if it were away
		}
		n := *w
		n.budget[rosters]--
		n.roster = state
		for i := range n.replica {
			n.replica[i].told.blind = !n.replica[i].open
		}
		f(m.say("Somebody %s.", state), n)
	}
}

// A rosterState is what became of the document.
type rosterState uint8

const (
	whole rosterState = iota
	away
	forged
)

func (s rosterState) String() string {
	return [...]string{away: "takes the roster away", forged: "writes into the roster that every replica encrypts under the newest term"}[s]
}

// unused reports whether a term may be retired by a replica: no other encrypts
// under it, as time shows of those that look, and the roster of one that hangs.
func (m *model) unused(w *world, i int, t *record.Term, key id) bool {
	if w.roster != whole && w.replica[i].told.blind {
		return false // see above
	}
	for j := range w.replica {
		r := &w.replica[j]
		under := !r.mute && m.at(r.view()).active == key
		if !r.told.hangs {
			if under {
				return false
			}
			continue
		}
		said := r.told.term
		switch {
		case i == j, m.faults.rosterForgets && w.roster == away, w.roster == forged:
			continue
		case m.faults.rosterByNewest:
			said = r.told.newest
		}
		if uint32(said) <= t.Number {
			return false
		}
	}
	return true
}
