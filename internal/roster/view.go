package roster

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// A View is what one process remembers of the rosters it has read. Clocks of
// others decide nothing in it: a replica is gone that has made no entry while this
// process looked, again and again, for as long as the host says. The zero value has
// heard of nobody. It is not safe for concurrent use.
//
// An old entry is as authentic as it was. So what is heard replaces what was heard
// before only where it says itself that it is later, with a tag under no older term:
// of one run by its beat, of another run where that has named the one before. What
// says neither counts beside it, and so is in the way, until it is gone.
type View struct {
	members map[string][]*Member // by replica: the runs of it that may live
	ended   map[string][]ended   // by replica: those that another one came after
	under   map[uint32]time.Time // when somebody was last heard of who encrypts under a term
	strange map[string]*Member   // whose entries nobody vouches for
	read    time.Time
}

// An ended is a run, and the newest term under which somebody said that another came
// after it.
type ended struct {
	run    []byte
	newest uint32
}

// maxRuns is how many runs of a replica are remembered, and as many that have ended.
// One that is forgotten and put back can only be in the way, as a replica that lags.
const maxRuns = 16

// A Member is a replica, as far as a process has heard of it; of one whose runs are
// in no known order, each of them.
type Member struct {
	Entry
	Heard  time.Time     // when its last entry was first seen here; of what nobody vouches for, the first such
	Silent time.Duration // for how long this process has looked since, and there was none
	Gone   bool          // it is taken not to run any more
}

// Take takes in the entries of a roster that was read now, and those that nobody
// vouches for, but for what is of this process itself: mine is its entry, and before
// are the runs that it was. Silence counts for no longer than pause between two looks,
// so that a roster that could not be read makes nobody look dead.
func (v *View) Take(entries, strangers []Entry, mine Entry, before [][]byte, now time.Time, pause, ttl time.Duration) {
	if v.members == nil {
		v.members, v.ended, v.under = map[string][]*Member{}, map[string][]ended{}, map[uint32]time.Time{}
	}
	passed := min(max(0, now.Sub(v.read)), pause)
	if v.read.IsZero() {
		passed = 0
	}
	v.read = now
	for _, runs := range v.members {
		for _, m := range runs {
			m.Silent += passed
		}
	}
	v.end(mine, now)
	for _, e := range entries {
		if e.Replica != mine.Replica || !bytes.Equal(e.Run, mine.Run) && !slices.ContainsFunc(before, func(run []byte) bool { return bytes.Equal(run, e.Run) }) {
			v.hear(e, now)
		}
	}
	for name, runs := range v.members {
		for _, m := range runs {
			if m.Gone = m.Silent >= ttl; !m.Gone && !m.Left {
				v.under[m.oldest()] = now
			}
		}
		runs = slices.DeleteFunc(runs, func(m *Member) bool { return m.Silent >= 4*ttl })
		if v.members[name] = runs; len(runs) == 0 {
			delete(v.members, name)
			delete(v.ended, name)
		}
	}
	v.meet(strangers, mine.Replica, now, passed, ttl)
}

// meet remembers for how long entries that nobody vouches for have stood as they
// are.
func (v *View) meet(strangers []Entry, self string, now time.Time, passed, ttl time.Duration) {
	before := v.strange
	v.strange = map[string]*Member{}
	for _, e := range strangers {
		if e.Replica == self {
			continue
		}
		m := &Member{Entry: e, Heard: now}
		if was := before[e.Replica]; was != nil {
			m.Heard = was.Heard
			if was.Beat == e.Beat && bytes.Equal(was.Run, e.Run) {
				m.Silent = was.Silent + passed
			}
		}
		m.Gone = m.Silent >= ttl
		v.strange[e.Replica] = m
	}
}

// hear takes in one entry, unless it is an old one.
func (v *View) hear(e Entry, now time.Time) {
	v.end(e, now)
	if slices.ContainsFunc(v.ended[e.Replica], func(x ended) bool { return bytes.Equal(x.run, e.Run) && x.newest >= e.Newest }) {
		return
	}
	runs := v.members[e.Replica]
	i := slices.IndexFunc(runs, func(m *Member) bool { return bytes.Equal(m.Run, e.Run) })
	switch {
	case i < 0:
		if len(runs) == maxRuns {
			silent := slices.MaxFunc(runs, func(x, y *Member) int { return cmp.Compare(x.Silent, y.Silent) })
			runs = slices.DeleteFunc(runs, func(m *Member) bool { return m == silent })
		}
		v.members[e.Replica] = append(runs, &Member{Entry: e, Heard: now})
		v.under[e.oldest()] = now // also if it has left: what it wrote may be on its way
	case e.Newest > runs[i].Newest, e.Newest == runs[i].Newest && e.Beat > runs[i].Beat:
		v.under[runs[i].oldest()] = now // it may have gone on, or left, at any time since the look before
		runs[i] = &Member{Entry: e, Heard: now}
	}
}

// end takes in that the run of an entry came after another one, as far as the key of
// its tag lets it say so.
func (v *View) end(e Entry, now time.Time) {
	if len(e.After) == 0 || bytes.Equal(e.After, e.Run) {
		return
	}
	list := v.ended[e.Replica]
	i := slices.IndexFunc(list, func(x ended) bool { return bytes.Equal(x.run, e.After) })
	switch {
	case i >= 0:
		list[i].newest = max(list[i].newest, e.Newest)
	case len(list) == maxRuns:
		list = append(list[1:], ended{e.After, e.Newest})
	default:
		list = append(list, ended{e.After, e.Newest})
	}
	v.ended[e.Replica] = list
	v.members[e.Replica] = slices.DeleteFunc(v.members[e.Replica], func(m *Member) bool {
		over := bytes.Equal(m.Run, e.After) && m.Newest <= e.Newest
		if over {
			v.under[m.oldest()] = now
		}
		return over
	})
}

// Members returns the other replicas that were heard of, by name. A run that has left,
// and one that is gone beside one that is not, is remembered, and nothing to tell.
func (v *View) Members() []Member {
	out := make([]Member, 0, len(v.members))
	for _, runs := range v.members {
		lives := slices.ContainsFunc(runs, func(m *Member) bool { return !m.Gone && !m.Left })
		for _, m := range runs {
			if !m.Left && (!m.Gone || !lives) {
				out = append(out, *m)
			}
		}
	}
	slices.SortFunc(out, func(x, y Member) int {
		return cmp.Or(strings.Compare(x.Replica, y.Replica), bytes.Compare(x.Run, y.Run))
	})
	return out
}

// Live returns those of the other replicas that are not gone and that f holds of,
// by name.
func (v *View) Live(f func(*Member) bool) []Member {
	return slices.DeleteFunc(v.Members(), func(m Member) bool { return m.Gone || !f(&m) })
}

// Strangers returns the replicas that entries are said to be of that nobody vouches
// for, and did not at that time either: one that has taken in a term before this
// process is none.
func (v *View) Strangers(since time.Time) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(v.strange)) {
		if !v.strange[name].Heard.After(since) {
			names = append(names, name)
		}
	}
	return names
}

// Gone returns the names of all whose entries nobody has renewed for so long that
// they may be taken away, by any of their runs, or as a stranger.
func (v *View) Gone() (names []string) {
	lives := map[string]bool{}
	for name, runs := range v.members {
		lives[name] = slices.ContainsFunc(runs, func(m *Member) bool { return !m.Gone })
	}
	for name, m := range v.strange {
		lives[name] = lives[name] || !m.Gone
	}
	for name, alive := range lives {
		if !alive {
			names = append(names, name)
		}
	}
	return names
}

// oldest is the oldest term that may be what encrypts where the entry comes from: any,
// where another process reports in its name.
func (e *Entry) oldest() uint32 {
	if e.Twice {
		return 0
	}
	return e.Term
}

// Lacking returns those that have not taken in a term, as far as one can say.
func (v *View) Lacking(term uint32) []Member {
	return v.Live(func(m *Member) bool { return m.Newest < term || m.Twice })
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
	return v.Live(func(m *Member) bool { return m.oldest() <= term }), last
}

// Stranded returns those that cannot follow a new root key with nobody present, or
// cannot follow the one there is, or of which one cannot say.
func (v *View) Stranded() []Member {
	return v.Live(func(m *Member) bool { return m.Behind != 0 || !m.Alone || m.Twice })
}

// Read is when a roster was last read.
func (v *View) Read() time.Time { return v.read }
