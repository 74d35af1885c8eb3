package seal

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// writeGoldens makes the goldens of a format once. It replaces none: records of
// a released format must open for ever.
var writeGoldens = flag.Bool("goldens.write", false, "make the goldens of testdata that are missing")

// WriteGolden makes a golden that does not exist yet.
func WriteGolden(t testing.TB, path string, data func() []byte) {
	t.Helper()
	if *writeGoldens {
		WriteGoldenAlways(t, path, data)
	}
}

// WriteGoldenAlways is WriteGolden without its flag.
func WriteGoldenAlways(t testing.TB, path string, data func() []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		t.Logf("%s exists, and stays", path)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data()); err != nil {
		t.Fatal(err)
	}
}
