package examples_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/examples/internal/built"
	"github.com/sealwright/sealwright/examples/internal/move"
)

// programs makes the examples, once for all tests, in a directory that any user
// may read. To link them is most of the work, so two kinds are not: those whose
// main is move.Main are this test program by that name, and those that have tests
// in their directories are run by them, see flagstest.Dashless.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sealwright-examples-")
	if err != nil {
		return "", err
	}
	made.dir = dir
	sources, err := filepath.Glob("*/main.go")
	if err != nil {
		return "", err
	}
	build := []string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}
	for _, source := range sources {
		name := filepath.Dir(source)
		_, listed := move.Named(name)
		switch {
		case name == "sealwright": // a module of its own
		case name == "opener": // has no flags, and changes nothing
		case listed && has(source, fmt.Sprintf("\nfunc main() { move.Main(%q) }\n", name)):
			err = link(os.Args[0], filepath.Join(dir, name+extension))
		case has(filepath.Join(name, "*_test.go"), "flagstest.Dashless(t, main)"):
		case name == "autounseal": // others ask for it, too
			err = built.Program(".", "./"+name, filepath.Join(dir, name+extension))
		default:
			build = append(build, "./"+name)
		}
		if err != nil {
			return "", err
		}
	}
	if out, err := exec.Command("go", build...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, os.Chmod(dir, 0o755)
})

var made struct{ dir string }

// extension is that of a program's file.
var extension = map[bool]string{runtime.GOOS == "windows": ".exe"}[true]

// has reports whether one of the files has a text.
func has(files, text string) bool {
	names, _ := filepath.Glob(files)
	return slices.ContainsFunc(names, func(name string) bool {
		content, err := os.ReadFile(name)
		return err == nil && bytes.Contains(content, []byte(text))
	})
}

// link makes a file one by another name, too, or copies it to another file system.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

func TestMain(m *testing.M) {
	if p, ok := move.Named(strings.TrimSuffix(filepath.Base(os.Args[0]), extension)); ok {
		p.Main()
		os.Exit(0)
	}
	code := m.Run()
	if made.dir != "" {
		os.RemoveAll(made.dir)
	}
	os.Exit(code)
}
