package linear

import (
	"fmt"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// tries is how many races a store that puts blindly is given: it may go well once or
// twice.
const tries = 40

// A Proof says what came of races.
type Proof struct {
	Histories, Violations int
	Tally
}

// Prove has writers race over stores of a new record each time, which fresh opens,
// one for each of [Writers], as long as more asks for another history. It fails the
// test unless there is an order for each that explains all that they were told, and
// none for one of a store that puts blindly.
func Prove(t testing.TB, more func(made int) bool, fresh func() []seal.Store) (p Proof) {
	t.Helper()
	for ; more(p.Histories); p.Histories++ {
		history := Race(t, fresh(), uint64(p.Histories), &p.Tally)
		if result := Check(history); result != porcupine.Ok {
			p.Violations++
			t.Errorf("history %d: %s:\n%s", p.Histories, result, Describe(history))
		}
	}
	if p.Conflicts == 0 || p.Applied == 0 || p.Unknown == p.Applied {
		t.Errorf("%+v: the histories have no conflicts, or no unknown outcome of either kind", p)
	}
	for i := range tries {
		stores := fresh()
		for j, s := range stores {
			stores[j] = storetest.BlindPut(s)
		}
		var ignored Tally
		if Check(Race(t, stores, uint64(i), &ignored)) == porcupine.Illegal {
			return p
		}
	}
	t.Errorf("%d histories of a store that puts blindly, and none was found out", tries)
	return p
}

// Histories asks for so many.
func Histories(n int) (more func(made int) bool) { return func(made int) bool { return made < n } }

// Add adds what came of others.
func (p *Proof) Add(o Proof) {
	p.Histories += o.Histories
	p.Violations += o.Violations
	p.Tally.Add(o.Tally)
}

// Figures are those of guarantee 3, of a test that did not fail.
func (p Proof) Figures(stores string) string {
	return fmt.Sprintf("GUARANTEE 3 stale-writer: histories=%d violations=%d mutant=caught stores=%s swaps=%d conflicts=%d unknown=%d of-them-applied=%d",
		p.Histories, p.Violations, stores, p.Swaps, p.Conflicts, p.Unknown, p.Applied)
}
