package main

import (
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
)

// A program that imports the core alone links no module of others; that the
// check would see one, those of the clouds show. Each of them unseals. What
// symbols weigh is asked for the smallest: to link is most of the work.
func TestWeight(t *testing.T) {
	testlevel.NeedsWhole(t, "builds programs")
	dir := t.TempDir()
	if err := buildAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		w, err := measure(program, filepath.Join(dir, program), 1, program == "core")
		if err != nil {
			t.Fatalf("%s: %v", program, err)
		}
		if (len(w.modules) > 0) != (program != "core") {
			t.Errorf("%s links %q", program, w.modules)
		}
		if (w.size > w.stripped) != (program == "core") || w.stripped == 0 || w.start <= 0 {
			t.Errorf("%s: %d bytes, stripped %d, started in %v", program, w.size, w.stripped, w.start)
		}
		t.Logf("%s: %d modules of others, %d bytes stripped", program, len(w.modules), w.stripped)
	}
}
