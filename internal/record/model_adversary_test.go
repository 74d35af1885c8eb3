package record_test

import "slices"

// custodianMoves are what happens to the keys. One is destroyed only as long as
// another slot opens the store at that moment, and nothing in flight relies on
// the proof that it just gave: nothing protects against that.
func (m *model) custodianMoves(w *world, f func(string, world)) {
	for k := range keys {
		if m.matters>>k&1 == 0 {
			continue
		}
		switch {
		case w.key[k] == alive && w.budget[cuts] > 0:
			n := *w
			n.budget[cuts]--
			n.key[k] = cutOff
			f(m.say("Key %s is cut off.", keys[k]), n)
		case w.key[k] == cutOff:
			n := *w
			n.key[k] = alive
			f(m.say("Key %s answers again.", keys[k]), n)
		}
		m.rest(w, k, f)
		if slices.ContainsFunc(w.replica[:], func(r replica) bool { return r.flight.relies>>k&1 == 1 && !m.doomed(w, &r.flight) }) {
			continue
		}
		if w.key[k] != dead && w.budget[deaths] > 0 {
			n := *w
			n.budget[deaths]--
			n.key[k] = dead
			if m.violation(&n) == "" {
				f(m.say("Key %s is destroyed.", keys[k]), n)
			}
		}
		if w.budget[versions] > 0 {
			n := *w
			n.budget[versions]--
			n.gone[k]++
			if m.violation(&n) == "" {
				f(m.say("Version %d of key %s is destroyed.", n.gone[k], keys[k]), n)
			}
		}
	}
}

// rest has a key ask to be left alone, and answer again, after hours.
func (m *model) rest(w *world, k int, f func(string, world)) {
	n := *w
	switch {
	case w.key[k] == alive && w.budget[rests] > 0:
		n.budget[rests]--
		n.key[k] = resting
		f(m.say("Key %s wants to be left alone for hours.", keys[k]), n)
	case w.key[k] == resting:
		n.key[k] = alive
		for i := range n.replica {
			n.replica[i].waits &^= 1 << k
		}
		f(m.say("Key %s answers again, after hours.", keys[k]), n)
	}
}

// putBacks are the records that an adversary, or an operator, can put into the
// store again: every one that ever stood there, if its custodians still are.
func (m *model) putBacks(w *world, f func(string, world)) {
	if w.budget[putBacks] == 0 {
		return
	}
	var seen []rec
	for _, head := range [...]rec{w.store, w.lost[0], w.lost[1]} {
		for r := head; r != 0; r = m.at(r).before {
			if r == w.store || slices.Contains(seen, r) || !m.at(r).state.Proved() {
				continue
			}
			seen = append(seen, r)
			m.putBack(w, r, f)
		}
	}
}

func (m *model) putBack(w *world, r rec, f func(string, world)) {
	n := *w
	n.budget[putBacks]--
	n.store, n.epoch, n.gatherer = r, w.epoch+1, -1
	n.line = max(w.line, putBack) // what went astray once, an old record does not mend
	heads := []rec{w.store, w.lost[0], w.lost[1]}
	n.lost = [2]rec{}
	lost := n.lost[:0]
	for _, h := range heads {
		if h != 0 && !m.descends(r, h) && !slices.Contains(lost, h) && len(lost) < cap(lost) {
			lost = append(lost, h)
		}
	}
	slices.Sort(lost) // which was lost first makes no difference
	if len(lost) == 0 {
		n.line = straight // the newest one of all
	}
	if m.violation(&n) != "" {
		return // it opens no more
	}
	f(m.say("The record of generation %d is put back in place of that of generation %d.",
		m.at(r).state.Generation, m.at(w.store).state.Generation), n)
}

// found takes a record off those that are lost: its data keys are stored again.
func (m *model) found(n *world, r rec) {
	for i := range n.lost {
		if n.lost[i] == r {
			n.lost[i] = 0
		}
	}
	if n.lost == [2]rec{} {
		n.line = straight
	}
	slices.Sort(n.lost[:])
}
