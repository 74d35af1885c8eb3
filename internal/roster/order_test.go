package roster_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/roster"
)

// by is an entry of replica b, of a run that is named by a letter.
func by(run byte, beat uint64, newest uint32, alone bool) roster.Entry {
	return roster.Entry{Replica: "b", Run: bytes.Repeat([]byte{run}, 16), Beat: beat, Generation: 7, Term: 1, Newest: newest, Alone: alone}
}

func after(e roster.Entry, run byte) roster.Entry {
	e.After = bytes.Repeat([]byte{run}, 16)
	return e
}

// live is what counts of replica b: the letters of its runs that are not gone.
func live(w *watcher) (runs string) {
	for _, m := range w.view.Live(func(*roster.Member) bool { return true }) {
		runs += string(m.Run[:1])
	}
	return runs
}

// TestAttackAnOldDocumentIsPutBackOnce: a process that never heard of a run of before
// met its entry, took it for the newer one, and never listened again to the one that
// lives.
func TestAttackAnOldDocumentIsPutBackOnce(t *testing.T) {
	for name, first := range map[string]roster.Entry{
		"it found the run before":           after(by('B', 1, 1, false), 'A'),
		"the roster was away when it began": by('B', 1, 1, false),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatcher()
			w.look(0, first)
			w.look(pause, by('A', 77, 1, true))
			for i := range uint64(70) {
				e := first
				e.Beat += i + 1
				w.look(pause, e)
				if lacking(w, 2) == nil || len(w.view.Stranded()) == 0 {
					t.Fatalf("after %d more entries of it, %q counts of replica b", i, live(w))
				}
			}
			if got := live(w); got != "B" {
				t.Errorf("in the end %q counts", got)
			}
		})
	}
}

// TestEveryOrderOfTwoRuns has a replica that was restarted, whose roster somebody puts
// back as often as they like, and a process that looks: in every order of what it may
// meet. The run that lives says that it cannot follow, and the one before it said that
// it can. From when the living one was heard of first it counts, until it is silent;
// when it goes on, it alone counts in the end; and when it has ended, nothing that was
// seen before keeps it alive.
func TestEveryOrderOfTwoRuns(t *testing.T) {
	const depth = 6
	orders := 0
	for _, linked := range []bool{true, false} {
		document := func(doc int) roster.Entry {
			if doc < 2 { // A has made two, and ended before anybody looked
				return by('A', uint64(doc+1), 1, true)
			}
			e := by('B', uint64(doc-1), 1, false)
			if linked {
				e = after(e, 'A')
			}
			return e
		}
		var walk func(order []int, written int)
		walk = func(order []int, written int) {
			if len(order) < depth {
				for doc := range written {
					walk(append(slices.Clone(order), doc), written) // put back, or not changed yet
				}
				walk(append(slices.Clone(order), written), written+1) // B writes
				return
			}
			orders++
			w := newWatcher()
			heard := false
			for i, doc := range order {
				w.look(pause, document(doc))
				if heard = heard || doc >= 2; heard && (lacking(w, 2) == nil || len(w.view.Stranded()) == 0) {
					t.Fatalf("linked %v, %v: after %d looks %q counts", linked, order, i+1, live(w))
				}
			}
			if !heard {
				return
			}
			for range 11 {
				w.look(pause, document(written))
				written++
			}
			if got := live(w); got != "B" {
				t.Fatalf("linked %v, %v: it goes on, and %q counts", linked, order, got)
			}
			for i := range 12 {
				w.look(pause, document(order[i%len(order)]))
			}
			// Without a link a run that was never met may be in the way, as at first.
			if got := live(w); got != "" && (linked || got != "A" || slices.Contains(order, 1)) {
				t.Fatalf("linked %v, %v: it has ended, and %q counts", linked, order, got)
			}
		}
		walk(nil, 2)
	}
	t.Logf("%d orders", orders)
}

// made is a roster with an entry that whoever has this data key made.
func made(e roster.Entry, key []byte) []byte {
	text, _ := json.Marshal(e)
	tag := aead.Expand(aead.Derive(key, []byte(store), "sealwright/roster/v1", 32), string(text), 32)
	return fmt.Appendf(nil, `{"roster":1,"store":%q,"members":[%s,"tag":"%x"}]}`+"\n", store, text[:len(text)-1], tag)
}

// TestAttackAnOldKeySaysThatAReplicaHasGoneOn: who held the data key of a term that is
// kept said that a replica has a later one, and can follow.
func TestAttackAnOldKeySaysThatAReplicaHasGoneOn(t *testing.T) {
	truth := by('B', 1, 2, false)
	truth.Term, truth.Behind = 2, 5
	for name, forge := range map[string]func(*roster.Entry){
		"a later term":                         func(e *roster.Entry) { e.Newest = 99 },
		"a later term that encrypts":           func(e *roster.Entry) { e.Term = 99 },
		"it can follow":                        func(e *roster.Entry) {},
		"it can follow, in a run that is new":  func(e *roster.Entry) { e.Run = bytes.Repeat([]byte{'C'}, 16) },
		"it can follow, in a run that is next": func(e *roster.Entry) { e.Run, e.After = bytes.Repeat([]byte{'C'}, 16), truth.Run },
	} {
		for _, first := range []bool{true, false} { // whether the truth was heard of before
			t.Run(fmt.Sprint(name, ", heard before: ", first), func(t *testing.T) {
				forged := by('B', 1<<63, 1, true)
				forge(&forged)
				text := made(forged, keys(1)(1))
				w := newWatcher()
				take := func(text []byte) {
					good, strangers := parse(t, text).Entries(keys(1, 2))
					w.now = w.now.Add(pause)
					w.view.Take(good, strangers, me, nil, w.now, pause, ttl)
				}
				if first {
					take(with(t, keys(1, 2), truth))
				}
				take(text)
				e := truth
				for range 11 {
					if e.Beat++; first || e.Beat > 2 {
						if len(w.view.Lacking(3)) == 0 || len(w.view.Stranded()) == 0 {
							t.Fatalf("lacking %v, stranded %v, %q counts", w.view.Lacking(3), w.view.Stranded(), live(w))
						}
					}
					take(with(t, keys(1, 2), e))
				}
				if got := live(w); got != "B" {
					t.Errorf("in the end %q counts", got)
				}
			})
		}
	}
}

// TestAReplicaIsTakenAwayByNoneOfItsRuns while another one of them lives, or somebody
// renews its entry whom this process cannot vouch for.
func TestAReplicaIsTakenAwayByNoneOfItsRuns(t *testing.T) {
	w := newWatcher()
	w.look(0, by('A', 1, 1, true))
	for i := range uint64(12) {
		w.look(pause, by('B', i, 1, true))
	}
	if names := w.view.Gone(); names != nil || live(w) != "B" {
		t.Errorf("taken away: %q; %q counts", names, live(w))
	}
	for i := range uint64(12) {
		w.now = w.now.Add(pause)
		w.view.Take(nil, []roster.Entry{by('B', 100+i, 9, true)}, me, nil, w.now, pause, ttl)
	}
	if names := w.view.Gone(); names != nil {
		t.Errorf("taken away beside a stranger: %q", names)
	}
}

// TestManyRunsOfAReplica are remembered to an end: the silent ones go first.
func TestManyRunsOfAReplica(t *testing.T) {
	w := newWatcher()
	for i := range byte(100) {
		w.look(0, by('a'+i, 1, 1, true))
		w.look(pause/100, by('B', uint64(i), 1, true))
	}
	if n := len(w.view.Members()); n > 16 || w.view.Members()[0].Run[0] != 'B' {
		t.Errorf("%d runs, %q", n, live(w))
	}
}

// TestAttackTwoProcessesOfOneName write over each other's entry, and others may meet
// those of one alone: nothing is decided while one of them says so.
func TestAttackTwoProcessesOfOneName(t *testing.T) {
	w := newWatcher()
	met := by('B', 1, 9, true)
	met.Term, met.Twice = 9, true
	w.look(0, met)
	w.look(pause, met)
	if under, last := w.view.Under(1); len(under) != 1 || !last.Equal(w.now) || lacking(w, 2) == nil || len(w.view.Stranded()) != 1 {
		t.Errorf("under %v at %v, lacking %v, stranded %v", under, last, lacking(w, 2), w.view.Stranded())
	}
	alone := met
	alone.Beat, alone.Twice = 2, false
	w.look(pause, alone)
	if under, last := w.view.Under(1); len(under) != 0 || !last.Equal(w.now) || lacking(w, 2) != nil || len(w.view.Stranded()) != 0 {
		t.Errorf("then: under %v at %v, lacking %v, stranded %v", under, last, lacking(w, 2), w.view.Stranded())
	}
	w.look(pause, alone)
	if _, last := w.view.Under(8); last.Equal(w.now) {
		t.Error("the old terms are still heard of")
	}
}

// TestAttackItsOwnNameIsAnothers: the process that looks is not the only one of its
// name.
func TestAttackItsOwnNameIsAnothers(t *testing.T) {
	w := newWatcher()
	other, before := me, me
	other.Run, before.Run = bytes.Repeat([]byte{'x'}, 16), bytes.Repeat([]byte{'y'}, 16)
	mine := after(me, 'z')
	ended := me
	ended.Run = mine.After
	for range 3 {
		w.now = w.now.Add(pause)
		w.view.Take([]roster.Entry{mine, other, before, ended}, nil, mine, [][]byte{before.Run}, w.now, pause, ttl)
	}
	if got := live(w); got != "x" {
		t.Errorf("%q counts", got)
	}
}

// TestALastEntry ends a run, for whoever meets it, and nobody else's: what it wrote may
// be on its way, and it is known again until everybody had the time to meet it.
func TestALastEntry(t *testing.T) {
	left := by('B', 7, 2, true)
	left.Left = true
	for name, tt := range map[string]struct {
		first roster.Entry
		want  string // who counts then
	}{
		"it was heard of":            {by('B', 6, 2, true), ""},
		"an entry before was missed": {by('B', 1, 1, true), ""},
		"another run":                {by('A', 6, 2, true), "A"},
		"it is put back":             {by('B', 8, 2, true), "B"},
		"it has gone on":             {by('B', 1, 3, true), "B"}, // and somebody with an older key says so
	} {
		w := newWatcher()
		w.look(0, tt.first)
		w.look(pause, left)
		if got := live(w); got != tt.want {
			t.Errorf("%s: %q counts", name, got)
		}
		if _, last := w.view.Under(1); !last.Equal(w.now) {
			t.Errorf("%s: under term 1 at %v", name, last)
		}
		w.look(pause, by('B', 6, 2, true))
		if got := live(w); got != tt.want {
			t.Errorf("%s: after an older entry %q counts", name, got)
		}
	}
	w := newWatcher()
	w.look(0, left)
	w.look(pause, left)
	if _, last := w.view.Under(1); live(w) != "" || last.Equal(w.now) || w.view.Gone() != nil || len(w.view.Members()) != 0 {
		t.Errorf("%q counts, heard at %v, taken away %v", live(w), last, w.view.Gone())
	}
	for range 10 {
		w.look(pause, left)
	}
	if names := w.view.Gone(); len(names) != 1 {
		t.Errorf("taken away: %q", names)
	}
}

// TestLeft puts the last entry of a run where the one before it is, and nowhere else.
func TestLeft(t *testing.T) {
	left := by('B', 7, 1, true)
	left.Left = true
	r := roster.New(store)
	last := r.Sign(left, keys(1))
	if r.Sign(left, keys()) != nil || r.Left(last, 0) != nil {
		t.Error("signed without a key, or put where nothing is")
	}
	here := func(e roster.Entry) *roster.Roster { return parse(t, with(t, keys(1), entry("a", 1, 1), e)) }
	text := here(by('B', 6, 1, true)).Left(last, 0)
	if good, strangers := parse(t, text).Entries(keys(1)); len(good) != 2 || len(strangers) != 0 || !good[1].Left || good[1].Beat != 7 {
		t.Errorf("%+v, %+v", good, strangers)
	}
	for name, e := range map[string]roster.Entry{"another run": by('A', 1, 1, true), "what is later": by('B', 7, 1, true)} {
		if here(e).Left(last, 0) != nil {
			t.Errorf("put over %s", name)
		}
	}
	if here(by('B', 6, 1, true)).Left(last, len(text)-1) != nil {
		t.Error("longer than what its store takes")
	}
	if forged := bytes.Replace(with(t, keys(1), by('B', 7, 1, true)), []byte(`"left":false`), []byte(`"left":true`), 1); len(func() []roster.Entry { g, _ := parse(t, forged).Entries(keys(1)); return g }()) != 0 {
		t.Error("left by anybody's word")
	}
}
