package record_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
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
