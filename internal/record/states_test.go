package record_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/testlevel"
)

// TestStatesDocument: seal/STATES.md has a row for each transition, and for each
// state of a slot and kind of operation.
func TestStatesDocument(t *testing.T) {
	doc, err := os.ReadFile("../../seal/STATES.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := ""
	for line := range strings.Lines(string(doc)) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.HasPrefix(line, "| ") {
			rows += cell + "\n"
		}
	}
	want := []string{"Init", record.Initial, record.Pending, record.Active, record.OpInit, record.OpProve, record.OpDrop, record.OpMigrate}
	state := reflect.TypeFor[record.State]()
	for i := range state.NumMethod() {
		m := state.Method(i)
		if m.Type.NumOut() == 2 && m.Type.Out(0) == state {
			want = append(want, m.Name)
		}
	}
	if len(want) < 9+13 {
		t.Errorf("only %d names to look for: the test looks in the wrong place", len(want))
	}
	for _, name := range want {
		if !strings.Contains(rows, "`"+name+"`") {
			t.Errorf("no row for %s", name)
		}
	}
}

// TestStatesColumns: what seal/STATES.md says of root key and term is what every
// transition does that the model makes.
func TestStatesColumns(t *testing.T) {
	doc, err := os.ReadFile("../../seal/STATES.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(doc)) {
		if cells := strings.Split(line, " | "); len(cells) == 6 && strings.HasPrefix(line, "| `") {
			want[strings.ReplaceAll(strings.TrimPrefix(cells[0], "| "), "`", "")] = cells[3] + ", " + cells[4]
		}
	}
	made := map[string]int{}
	states := 2_000 // of each scenario
	if !testlevel.Whole() {
		states = 300
	}
	if testing.Short() {
		states = 200
	}
	for _, s := range scenarios() {
		m := newModel(s, faults{})
		m.watch = func(_ *world, f *flight) {
			before, after := m.at(f.on), m.at(f.next)
			row := f.change.do.transition()
			if row == "Prove" {
				o := &before.state.Slots[f.change.i]
				if row += ", " + o.State; before.state.Predecessor(o) != nil {
					row = "Prove, successor"
				}
			}
			root, term := "–", "–"
			if after.state.Root != before.state.Root {
				root = "new"
			}
			switch grown := len(after.state.Terms) - len(before.state.Terms); {
			case grown < 0:
				term = "one less"
			case row == "Rotate":
				term = "one more"
			case after.state.LastTerm > before.state.LastTerm && after.state.ActiveTerm().Number == after.state.LastTerm:
				term = "new"
			case grown > 0:
				term = "?"
			}
			if made[row]++; want[row] != root+", "+term {
				t.Errorf("%s: root %s, term %s; STATES.md has %q", row, root, term, want[row])
			}
		}
		if wrong, _, _ := m.explore(states); wrong != "" || t.Failed() {
			t.Fatal(s.name, wrong)
		}
	}
	for row := range want {
		if made[row] == 0 {
			t.Errorf("the model never makes %s", row)
		}
	}
}
