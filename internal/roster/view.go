package roster

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"
)

// A View is what one process remembers of the rosters it has read. Clocks of
// others decide nothing in it: a replica is gone that has made no entry while this
// process looked, again and again, for as long as the host says. The zero value has
// heard of nobody. It is not safe for concurrent use.
type View struct {
	members map[string]*Member
	past    [][]byte             // runs that another of the same replica came after
	under   map[uint32]time.Time // when somebody was last heard of who encrypts under a term
	strange map[string]*Member   // whose entries nobody vouches for
	read    time.Time
}

// maxPast is how many runs are remembered as ended. One that is forgotten and put
// back can only be in the way, as a replica that lags.
const maxPast = 256

// A Member is a replica, as far as a process has heard of it.
type Member struct {
	Entry
	Heard  time.Time     // when its last entry was first seen here
	Silent time.Duration // for how long this process has looked since, and there was none
	Gone   bool          // it is taken not to run any more
}

// Take takes in the entries of a roster that was read now, and those that nobody
// vouches for, but for what is of this replica itself. Silence counts for no longer
// than pause between two looks, so that a roster that could not be read makes
// nobody look dead.
func (v *View) Take(entries, strangers []Entry, self string, now time.Time, pause, ttl time.Duration) {
	if v.members == nil {
		v.members, v.under = map[string]*Member{}, map[uint32]time.Time{}
	}
	passed := min(max(0, now.Sub(v.read)), pause)
	if v.read.IsZero() {
		passed = 0
	}
	v.read = now
	for _, m := range v.members {
		m.Silent += passed
	}
	for _, e := range entries {
		if e.Replica != self {
			v.hear(e, now)
		}
	}
	for name, m := range v.members {
		m.Gone = m.Silent >= ttl
		if m.Silent >= 4*ttl {
			delete(v.members, name)
		}
		if !m.Gone {
			v.under[m.Term] = now
		}
	}
	v.meet(strangers, self, passed, ttl)
}

// meet remembers for how long entries that nobody vouches for have stood as they
// are.
func (v *View) meet(strangers []Entry, self string, passed, ttl time.Duration) {
	before := v.strange
	v.strange = map[string]*Member{}
	for _, e := range strangers {
		if e.Replica == self {
			continue
		}
		m := before[e.Replica]
		if m == nil || m.Beat != e.Beat || !bytes.Equal(m.Run, e.Run) {
			m = &Member{Entry: e}
		} else {
			m.Silent += passed
		}
		m.Gone = m.Silent >= ttl
		v.strange[e.Replica] = m
	}
}

// hear takes in one entry, unless it is an old one.
func (v *View) hear(e Entry, now time.Time) {
	m := v.members[e.Replica]
	switch {
	case m != nil && bytes.Equal(m.Run, e.Run) && e.Beat <= m.Beat:
		return
	case slices.ContainsFunc(v.past, func(run []byte) bool { return bytes.Equal(run, e.Run) }):
		return
	case m != nil && !bytes.Equal(m.Run, e.Run):
		if v.past = append(v.past, m.Run); len(v.past) > maxPast {
			v.past = v.past[1:]
		}
	}
	if m != nil && m.Term != e.Term {
		v.under[m.Term] = now // it has gone on at some time since the look before
	}
	v.members[e.Replica] = &Member{Entry: e, Heard: now}
}

// Members returns the other replicas that were heard of, by name.
func (v *View) Members() []Member {
	out := make([]Member, 0, len(v.members))
	for _, m := range v.members {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(x, y Member) int { return strings.Compare(x.Replica, y.Replica) })
	return out
}

// Live returns those of the other replicas that are not gone and that f holds of,
// by name.
func (v *View) Live(f func(*Member) bool) []Member {
	return slices.DeleteFunc(v.Members(), func(m Member) bool { return m.Gone || !f(&m) })
}

// Strangers returns the replicas that entries are said to be of that nobody vouches
// for.
func (v *View) Strangers() []string { return slices.Sorted(maps.Keys(v.strange)) }

// Gone returns the names of all whose entries nobody has renewed for so long that
// they may be taken away.
func (v *View) Gone() (names []string) {
	for _, of := range []map[string]*Member{v.members, v.strange} {
		for name, m := range of {
			if m.Gone {
				names = append(names, name)
			}
		}
	}
	return names
}

// Lacking returns those that have not taken in a term.
func (v *View) Lacking(term uint32) []Member {
	return v.Live(func(m *Member) bool { return m.Newest < term })
}

// Under returns those that may encrypt under a term yet, or may come to: an entry
// is as old as a look, and a replica goes from the term it was heard under to any
// later one. Last is when such a one was last heard of.
func (v *View) Under(term uint32) (members []Member, last time.Time) {
	for number, at := range v.under {
		if number <= term && at.After(last) {
			last = at
		}
	}
	return v.Live(func(m *Member) bool { return m.Term <= term }), last
}

// Stranded returns those that cannot follow a new root key with nobody present, or
// cannot follow the one there is.
func (v *View) Stranded() []Member {
	return v.Live(func(m *Member) bool { return m.Behind != 0 || !m.Alone })
}

// Read is when a roster was last read.
func (v *View) Read() time.Time { return v.read }
