package sequences_test

import (
	"flag"
	"testing"
)

// quick makes as many sequences, and as long ones, as the suite has time for,
// and the same ones each time, unless the command line asks for others.
func quick(t *testing.T, checks, steps string) {
	t.Helper()
	asked := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { asked[f.Name] = true })
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.steps": steps, "rapid.seed": "1"} {
		if asked[name] {
			continue
		}
		f := flag.Lookup(name)
		old := f.Value.String()
		if err := f.Value.Set(value); err != nil { // flag.Set would count as asked for
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Value.Set(old) })
	}
}
