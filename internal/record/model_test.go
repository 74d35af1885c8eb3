package record_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/testlevel"
)

// An explicit-state model of a store with three replicas, walked breadth first.
// Its steps are the transition functions themselves; what is symbolic is the
// cryptography: keys, seeds and the wraps of one for the other are numbers. A
// step that changes the record takes two moves, as in life: a replica loads and
// computes, and later swaps, with anything in between. The record is what it is
// about: an unsealed replica is taken to encrypt all the time.
//
// States are told apart by 64 bits of hash, in which replicas are interchangeable,
// and what only they remember of records that never come back is left out.
// TestModelReductions walks without that and gets to the same records.
//
//	model_world_test.go      what there is: the store, replicas, custodians
//	model_records_test.go    records, each kept once, and what is symbolic in them
//	model_queue_test.go      states that are to be visited
//	model_moves_test.go      what replicas do
//	model_swap_test.go       what a swap changes in the world
//	model_changes_test.go    the changes of a record: calls of the transitions
//	model_branches_test.go   those that take in another branch
//	model_handoff_test.go    a replica hands the root key to another
//	model_adversary_test.go  what happens to them
//	model_rules_test.go      what must hold
//	model_scenarios_test.go  where it begins, and how much of everything there is
//	model_faults_test.go     faults that it must find, and their stories
//	model_story_test.go      how a walk is told

var modelStates = flag.Int("model.states", 50_000, "states that the model visits at most, all scenarios together")

type model struct {
	scenario
	faults  faults
	matters byte // keys that some slot of the scenario may have

	records []*entry
	byImage map[string]rec
	names   map[naming]id
	sets    sets

	met     map[uint64]uint64 // every state met, by its hash: the one it was met from
	visited int               // states whose moves were all made
	buf     []byte
	telling bool                  // moves come with their sentences
	exact   bool                  // no two states are taken for one
	watch   func(*world, *flight) // told of every swap, and of what it leads to
}

// explore walks until something that must not be, the limit of states visited,
// or the end.
func (m *model) explore(limit int) (wrong string, story []string, complete bool) {
	start := m.begin()
	h := m.hash(&start)
	m.met = map[uint64]uint64{h: 0}
	var left queue
	left.push(&start)
	all := true // that were met are visited
	for left.length > 0 {
		w := left.pop()
		m.visited++
		from := m.hash(&w)
		m.moves(&w, func(_ string, w world) bool {
			h := m.hash(&w)
			if _, ok := m.met[h]; ok {
				return true
			}
			m.met[h] = from
			if wrong = m.violation(&w); wrong != "" {
				story = m.story(start, h)
				return false
			}
			if m.visited+left.length < limit {
				left.push(&w)
			} else {
				all = false
			}
			return true
		})
		if wrong != "" {
			return wrong, story, false
		}
	}
	return "", nil, all
}

// story makes the moves that lead to a state again, and tells them.
func (m *model) story(w world, h uint64) []string {
	path := []uint64{}
	for start := m.hash(&w); h != start; h = m.met[h] {
		path = append(path, h)
	}
	slices.Reverse(path)
	m.telling = true
	defer func() { m.telling = false }()
	var told []string
	for _, h := range path {
		m.moves(&w, func(text string, next world) bool {
			if m.hash(&next) != h {
				return true
			}
			told, w = append(told, text), next
			return false
		})
	}
	return told
}

func TestModel(t *testing.T) {
	limit := *modelStates
	if !testlevel.Whole() {
		limit = min(limit, 20_000)
	}
	if testing.Short() {
		limit = min(limit, 3_000)
	}
	visited, met, violations, exhausted := 0, 0, 0, []string{}
	all := scenarios()
	for i, s := range all {
		t.Run(s.name, func(t *testing.T) {
			m := newModel(s, faults{})
			wrong, story, complete := m.explore((limit - visited) / (len(all) - i))
			if wrong != "" {
				violations++
				t.Errorf("%s:\n%s\n%d states visited, %d met, %d records", wrong, tell(story, wrong), m.visited, len(m.met), len(m.records))
			}
			visited += m.visited
			met += len(m.met)
			if complete {
				exhausted = append(exhausted, s.name)
			}
		})
	}
	found := 0
	for i, p := range planted {
		if testing.Short() && i%3 != 0 {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			if p.far && (!testlevel.Whole() || testing.Short()) {
				t.Skip("it takes more than ten thousand states")
			}
			if p.find(t) {
				found++
			}
		})
	}
	if !testlevel.Whole() || testing.Short() || strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		t.Logf("of a part: %d states visited, %d violations", visited, violations)
		return
	}
	t.Logf("GUARANTEE 2 deliver-prove-commit: states=%d met=%d violations=%d scenarios=%d exhausted=%d replicas=%d planted=%d/%d",
		visited, met, violations, len(all), len(exhausted), replicas, found, len(planted))
	t.Logf("exhausted: %s", strings.Join(exhausted, ", "))
}

// TestModelReductions: what is left out of the hash changes nothing: without it,
// the same swaps are made, with the same data, custodians and leaks around them.
func TestModelReductions(t *testing.T) {
	dropping := budget{drops: 1, roots: 1, ops: 1, crashes: 1, deaths: 1}
	if !testlevel.Whole() {
		dropping[crashes], dropping[deaths] = 0, 0
	}
	if testing.Short() {
		dropping[roots] = 0
	}
	for _, s := range []scenario{
		{name: "drop", stored: []string{people, "a"}, knows: everybody, budget: dropping},
		{name: "add", stored: []string{"a"}, shapes: []string{people}, knows: everybody, budget: budget{adds: 1, drops: 1, cuts: 1}},
		{name: "keys", stored: []string{"a"}, knows: [replicas]byte{1, 1, 2}, budget: budget{rotates: 2, retires: 1, seals: 1}},
		{name: "restore", stored: []string{"a"}, history: true, knows: everybody, budget: budget{rotates: 2, putBacks: 1, restores: 1}},
	} {
		swaps := [2]map[string]bool{{}, {}}
		var visited [2]int
		for i := range swaps {
			m := newModel(s, faults{})
			m.exact = i == 1
			m.watch = func(w *world, f *flight) {
				e := m.at(f.next)
				image := appendImage(bytesOf(e.root), &e.state)
				for _, set := range []set{w.delivered, w.written, w.leaked} {
					image = fmt.Append(image, m.sets.members[set])
				}
				swaps[i][string(fmt.Append(image, w.key, w.line))] = true
			}
			if wrong, _, complete := m.explore(1_000_000); wrong != "" || !complete {
				t.Fatalf("%s: %q complete=%v", s.name, wrong, complete)
			}
			visited[i] = m.visited
		}
		if d := cmp.Diff(len(swaps[1]), len(swaps[0])); d != "" || !maps.Equal(swaps[0], swaps[1]) {
			t.Errorf("%s: other swaps than without reductions: %s", s.name, d)
		}
		t.Logf("%s: %d swaps in %d states, or in %d", s.name, len(swaps[0]), visited[0], visited[1])
	}
}
