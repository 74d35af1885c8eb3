package record_test

import (
	"fmt"
	"strings"

	"github.com/sealwright/sealwright/internal/record"
)

// say makes a sentence, if anybody listens.
func (m *model) say(format string, args ...any) string {
	if !m.telling {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// opening says where a story begins.
func (s scenario) opening() string {
	text := "There is no store yet, and three replicas are sealed."
	if len(s.stored) > 0 {
		text = fmt.Sprintf("The store has a proven slot of %s, and three replicas are sealed.", strings.Join(strings.Split(list(s.stored).String(), " and "), " and of "))
	}
	switch s.near {
	case nearGrowth:
		text += " Two more terms fit, and what is left after them is for what evicts."
	case nearStrange:
		text = "A stranger put a record into the store that nobody has unsealed yet, with numbers near their ends; three replicas are sealed."
	}
	if s.anchors {
		text += " Each has an anchor."
	}
	if s.knows != everybody {
		for i, mask := range s.knows {
			text += fmt.Sprintf(" %s knows %s.", who(i), list(keyNames(mask)))
		}
	}
	return text
}

// tell numbers the sentences of a story, and says how it ends.
func tell(story []string, wrong string) string {
	var b strings.Builder
	for i, line := range story {
		fmt.Fprintf(&b, "%3d. %s\n", i+1, line)
	}
	fmt.Fprintf(&b, "What went wrong: %s.\n", wrong)
	return b.String()
}

// A who is a replica, in a sentence.
type who int

func (w who) String() string { return fmt.Sprintf("Replica %d", int(w)+1) }

// A list is names, in a sentence.
type list []string

func (l list) String() string {
	names := make([]string, len(l))
	for i, name := range l {
		names[i] = called(name)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func called(shape string) string {
	switch shape {
	case people:
		return "people"
	case both:
		return "keys a and b together"
	case mixed:
		return "key a and people together"
	case anyTwo:
		return "any two of keys a, b and people"
	case teams:
		return "two teams of people together"
	}
	return "key " + shape
}

func (m *model) custodians(l *lock, name string) string {
	if !m.telling {
		return ""
	}
	switch {
	case l.state == record.Pending:
		return called(name) + ", by a slot that is pending"
	case l.people:
		return called(name) + ", with the shares they hold"
	}
	return called(name)
}

// deed is what a change of the record does.
func (m *model) deed(on rec, c *change) string {
	if !m.telling {
		return ""
	}
	s := &m.at(on).state
	slot := func(i int8) string {
		o := &s.Slots[i]
		if o.State == record.Pending {
			return "the pending slot of " + called(o.Name)
		}
		return "the slot of " + called(o.Name)
	}
	two := func() string {
		if c.j >= 0 {
			return slot(c.i) + " and " + slot(c.j)
		}
		return slot(c.i)
	}
	switch c.do {
	case doAdd:
		name := m.shapes[c.i]
		if s.Find(name, record.Active) != nil {
			return "rekey the slot of " + called(name)
		}
		return "add a slot of " + called(name)
	case doProve:
		o := &s.Slots[c.i]
		text := slot(c.i) + " is proven, for it opens the record that is stored"
		if s.Predecessor(o) != nil {
			text += ", and takes the place of the one before"
		}
		return text
	case doDrop:
		return "drop " + two() + m.because(s, c, slot)
	case doDropAgreed:
		why := ", since people gave their shares to the operation"
		if s.Slots[c.by].Tree.Keys() && !m.faults.keysUnasked {
			why += " and the key beside them answered just now"
		}
		return "drop " + two() + why
	case doDropPending:
		return "drop " + slot(c.i) + ", which opens nothing"
	case doReissue:
		return "make " + slot(c.i) + " anew"
	case doRotate:
		if c.i == 1 {
			return fmt.Sprintf("term %d is published, passive at first", s.LastTerm+1)
		}
		if m.faults.noReserve && s.LastTerm >= nearEnd {
			return "rotate on and on, to the last number that there is"
		}
		return fmt.Sprintf("rotate to term %d", s.LastTerm+1)
	case doActivate:
		return fmt.Sprintf("activate term %d", s.Terms[c.i].Number)
	case doRetire:
		return fmt.Sprintf("re-encrypt what is under term %d, and retire it", s.Terms[c.i].Number)
	case doRotateRoot:
		return "rotate the root key"
	case doRenew:
		return "have the KMS wrap " + slot(c.i) + " anew"
	case doBeginProve:
		return "begin an operation in which people prove " + slot(c.i)
	case doBeginDrop:
		return "begin an operation in which people agree to drop " + slot(c.i)
	case doBeginMigrate:
		return "begin a migration"
	case doClaim:
		return "claim the operation"
	case doEnd:
		return "end the operation"
	}
	return ""
}

// because is what a drop relies on.
func (m *model) because(s *record.State, c *change, slot func(int8) string) string {
	switch {
	case c.by == c.i || c.by == c.j:
		return ""
	case s.Slots[c.by].State == record.Pending:
		return ", since " + slot(c.by) + " is there"
	case m.faults.staleProof:
		return ", since " + slot(c.by) + " was proven once"
	}
	return ", since " + slot(c.by) + " opened the stored record just now"
}

// outcome says what it means that a change is stored.
func (m *model) outcome(w *world, f *flight) string {
	if !m.telling {
		return ""
	}
	text := ""
	if f.on != w.store {
		text = ", over a record that it has never seen"
	}
	if m.madeFor(f) != 0 {
		text += ", with the new shares in its hands"
	}
	if m.at(f.next).active != m.at(w.store).active {
		text += m.writes(f.next)
	}
	return text
}

// writes says what an unsealed process encrypts under.
func (m *model) writes(r rec) string {
	if !m.telling || m.at(r).active == 0 {
		return ""
	}
	return fmt.Sprintf(", and encrypts under term %d", number(m.at(r), m.at(r).active))
}

// losing says what goes with a process that crashes.
func (m *model) losing(f *flight) string {
	switch {
	case !m.telling || f.phase == idle:
		return ""
	case f.phase == handSecond:
		return ", and the shares of the second team are lost"
	case f.phase == hand:
		return ", and the shares in its hands are lost"
	}
	return " before it stores anything"
}
