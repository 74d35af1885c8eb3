package record_test

// The hand-off: a replica that is sealed, or behind, asks another one for the root
// key of the record that it has loaded. It takes two moves, with anything in between:
// the other one answers, and the answer is taken. It changes no record.

// A handed is an answer on its way to a replica; the zero value is none.
type handed struct {
	on   rec  // the record that the asker loaded
	from rec  // the record of whoever answered
	late bool // an operator has sealed the asker since
}

// asksOthers has another replica answer a request.
func (m *model) asksOthers(w *world, i int, f func(string, world)) {
	r := &w.replica[i]
	e := m.at(w.store)
	if w.budget[handOffs] == 0 || r.handed.on != 0 || !e.state.Proved() || !m.accepts(r, w.store) || r.open && m.at(r.mark).root == e.root {
		return
	}
	for j := range w.replica {
		o := &w.replica[j]
		same := o.mark == w.store || m.faults.handsUnseen && m.at(o.mark).root == e.root
		if i == j || !o.open || !same {
			continue
		}
		n := *w
		n.budget[handOffs]--
		n.replica[i].handed = handed{on: w.store, from: o.mark}
		f(m.say("%s asks for the root key of the record that is stored, and %s answers%s.", who(i), who(j), m.having(o.mark, w.store)), n)
	}
}

func (m *model) having(has, asked rec) string {
	if !m.telling || has == asked {
		return ""
	}
	return ", though its own record is another one"
}

// takesAnswer has an answer arrive: it is taken if it is still of use, and of the
// record that is stored.
func (m *model) takesAnswer(w *world, i int, f func(string, world)) {
	r, a := &w.replica[i], w.replica[i].handed
	n := *w
	n.replica[i].handed = handed{}
	took := a.on
	if took != w.store && !m.faults.takesLate || r.open && r.mark == w.store || !m.accepts(r, took) {
		f(m.say("The answer to %s is of no use any more.", who(i)), n)
		return
	}
	switch {
	case a.late:
		n.wrong = undidSeal
	case a.from != took && m.descends(a.from, took):
		n.wrong = handedOlder
	}
	text := m.say("The answer to %s arrives: it opens the record%s.", who(i), m.writes(took))
	m.see(&n, i, took)
	m.watches(&n.replica[i], took)
	n.replica[i].mark, n.replica[i].open, n.replica[i].mute = took, true, false
	m.write(&n, i)
	f(text, n)
}

// sealsAsker has an operator seal a replica that waits for an answer: nothing that
// was asked for before unseals it.
func (m *model) sealsAsker(r *replica) {
	r.handed.late = m.faults.undoesSeal && r.handed.on != 0
	if !r.handed.late {
		r.handed = handed{}
	}
}
