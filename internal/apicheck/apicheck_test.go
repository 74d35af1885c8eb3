package apicheck_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/apicheck"
)

var update = flag.Bool("update", false, "rewrite testdata/api with what the packages export")

// repository is the root of the checkout, from this directory.
const repository = "../.."

func load(t *testing.T, fsys fs.FS) []*apicheck.Package {
	t.Helper()
	packages, err := apicheck.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// ours are the packages of the repository, read once for all tests.
var ours = sync.OnceValues(func() ([]*apicheck.Package, error) { return apicheck.Load(os.DirFS(repository)) })

func loadOurs(t *testing.T) []*apicheck.Package {
	t.Helper()
	packages, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// TestSurface compares what each public package of the root module exports
// with the list that was last agreed on.
func TestSurface(t *testing.T) {
	lists := filepath.Join("testdata", "api")
	agreed := map[string]string{}
	err := filepath.WalkDir(lists, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		agreed[name] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}

	total := 0
	for _, p := range loadOurs(t) {
		if !p.Public() || p.Module != "." {
			continue
		}
		lines, names := p.Surface()
		total += names
		name := filepath.Join(lists, filepath.FromSlash(p.Dir)+".txt")
		got, want := strings.Join(lines, "\n")+"\n", strings.ReplaceAll(agreed[name], "\r\n", "\n")
		delete(agreed, name)
		if got == want {
			continue
		}
		if !*update {
			t.Errorf("%s exports other than what was agreed; if that is meant, go test ./internal/apicheck -update\n%s",
				p.Dir, cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range agreed {
		if !*update {
			t.Errorf("%s is of a package that is gone", name)
		} else if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d names exported by the root module", total)
}

func TestRules(t *testing.T) {
	packages := loadOurs(t)
	if len(packages) < 5 {
		t.Fatalf("only %d packages found: the rules were applied to nothing", len(packages))
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			for _, problem := range rule(packages) {
				t.Error(problem)
			}
		})
	}
}

var rules = map[string]func([]*apicheck.Package) []string{
	"OneWay":          apicheck.OneWay,
	"Rooms":           apicheck.Rooms,
	"Dependencies":    apicheck.Dependencies,
	"InternalImports": apicheck.InternalImports,
	"Undocumented":    apicheck.Undocumented,
}

// TestRulesCatch plants a fault for each rule, and sees that this rule says so
// and the others do not.
func TestRulesCatch(t *testing.T) {
	const (
		root    = apicheck.Root
		example = "package p_test\nfunc Example() {\n\t// Output: 1\n}\n"
	)
	sound := map[string]string{
		"go.mod":                          "module " + root,
		"internal/aead/a.go":              "package aead\n",
		"internal/record/a.go":            "package record\nimport _ \"" + root + "/kms\"\n",
		"internal/ledger/a.go":            "package ledger\nimport _ \"" + root + "/internal/record\"\n",
		"internal/ledger/a_test.go":       "package ledger_test\n",
		"internal/custody/a.go":           "package custody\nimport _ \"" + root + "/internal/record\"\nimport _ \"" + root + "/kms\"\n",
		"kms/a.go":                        "// Package kms is.\npackage kms\nimport _ \"context\"\nimport _ \"" + root + "/internal/aead\"\n",
		"kms/a_test.go":                   example,
		"keyring/a.go":                    "// Package keyring is.\npackage keyring\nimport _ \"" + root + "/internal/aead\"\n",
		"keyring/a_test.go":               example + "var _ = 1\n",
		"seal/a.go":                       "// Package seal is.\npackage seal\nimport _ \"" + root + "/kms\"\n",
		"seal/a_test.go":                  "package seal_test\nimport _ \"github.com/google/go-cmp/cmp\"\nfunc Example() {\n\t// Output: 1\n}\n",
		"seal/gen.go":                     "//go:build ignore\n\npackage main\nimport _ \"golang.org/x/tools\"\n",
		"seal/testdata/x.go":              "package broken {",
		"kms/cloud/go.mod":                "module " + root + "/kms/cloud",
		"kms/cloud/a.go":                  "// Package cloud is.\npackage cloud\nimport _ \"cloud.example/sdk\"\nimport _ \"" + root + "/kms\"\n",
		"kms/cloud/a_test.go":             example,
		"kms/cloud/internal/own/a.go":     "package own\n",
		"internal/interop/go.mod":         "module " + root + "/internal/interop",
		"internal/interop/a_test.go":      "package interop\nimport _ \"" + root + "/internal/aead\"\nimport _ \"peer.example/x\"\n",
		"examples/go.mod":                 "module " + root + "/examples",
		"examples/gateway/gateway.go":     "package gateway\n",
		"_drafts/a.go":                    "package",
		"vault/a_test.go":                 example,
		"internal/aead/more/deep/more.go": "package deep\n",
	}
	for name, tc := range map[string]struct {
		file, text string
		rule, says string
	}{
		"sound":                      {},
		"keyring reaches kms":        {"keyring/b.go", "package keyring\nimport _ \"" + root + "/kms\"\n", "OneWay", "keyring → kms: keyring may not reach kms"},
		"by way of an internal one":  {"internal/aead/b.go", "package aead\nimport _ \"" + root + "/seal\"\n", "OneWay", "kms → internal/aead → seal: kms may not reach seal"},
		"a package in no area":       {"vault/a.go", "// Package vault is.\npackage vault\n", "OneWay", "vault stands in no area"},
		"the ledger asks people":     {"internal/ledger/b.go", "package ledger\nimport _ \"" + root + "/internal/custody\"\n", "Rooms", "internal/ledger imports " + root + "/internal/custody, which internal/ledger must not know"},
		"the ledger asks a KMS":      {"internal/ledger/b.go", "package ledger\nimport _ \"" + root + "/kms\"\n", "Rooms", "internal/ledger imports " + root + "/kms, which"},
		"a test of it, a fake one":   {"internal/ledger/a_test.go", "package ledger_test\nimport _ \"" + root + "/kms/kmstest\"\n", "Rooms", "internal/ledger imports " + root + "/kms/kmstest, which"},
		"custody knows the store":    {"internal/custody/b.go", "package custody\nimport _ \"" + root + "/internal/ledger\"\n", "Rooms", "internal/custody imports " + root + "/internal/ledger, which"},
		"so does a part of it":       {"internal/custody/more/b.go", "package more\nimport _ \"" + root + "/internal/ledger\"\n", "Rooms", "internal/custody/more imports " + root + "/internal/ledger, which internal/custody must not know"},
		"a dependency":               {"kms/b.go", "package kms\nimport _ \"golang.org/x/crypto/argon2\"\n", "Dependencies", "kms imports golang.org/x/crypto/argon2"},
		"cgo":                        {"kms/b.go", "package kms\nimport \"C\"\n", "Dependencies", "kms imports C"},
		"a dependency in a test":     {"kms/b_test.go", "package kms\nimport _ \"github.com/stretchr/testify\"\n", "Dependencies", "a test of kms imports"},
		"internal from nested":       {"kms/cloud/b.go", "package cloud\nimport _ \"" + root + "/internal/aead\"\n", "InternalImports", "kms/cloud imports " + root + "/internal/aead"},
		"internal from nested tests": {"kms/cloud/b_test.go", "package cloud\nimport _ \"" + root + "/internal/aead/more/deep\"\n", "InternalImports", "kms/cloud imports"},
		"no package comment":         {"kms/a.go", "package kms\n", "Undocumented", "kms has no package comment"},
		"no example":                 {"kms/a_test.go", "package kms_test\n", "Undocumented", "kms has no example"},
		"no output":                  {"kms/a_test.go", "package kms_test\nfunc Example() {}\n", "Undocumented", "kms has no example with output"},
		"nested without example":     {"kms/cloud/a_test.go", "package cloud_test\n", "Undocumented", "kms/cloud has no example"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for file, text := range sound {
				tree[file] = &fstest.MapFile{Data: []byte(text)}
			}
			if tc.file != "" {
				tree[tc.file] = &fstest.MapFile{Data: []byte(tc.text)}
			}
			packages := load(t, tree)
			for rule, check := range rules {
				problems := check(packages)
				caught := slices.ContainsFunc(problems, func(s string) bool { return strings.Contains(s, tc.says) })
				if (rule == tc.rule) != (len(problems) > 0) || rule == tc.rule && !caught {
					t.Errorf("%s said %q, want from %q: %q", rule, problems, tc.rule, tc.says)
				}
			}
		})
	}
}

func TestSurfaceOf(t *testing.T) {
	const source = `package p
import "io"
const A, b = 1, 2
var V, w error
type T[K comparable, V any] struct { X, y int; io.Reader; *inner; Long func(
	a int,
) error }
type inner struct{ Z int }
type I interface { M(x int) error; closed(); io.Writer }
type E = T[int, string]
type N []byte
func F(a, b int) (c error) { return nil }
func g() {}
func (t *T[K, V]) Do() {}
func (t *T[K, V]) undo() {}
func (i inner) Loud() {}
`
	want := []string{
		"closed I", "const A", "embedded I io.Writer", "embedded T io.Reader",
		"field T.Long func( a int, ) error", "field T.X int", "func F(a, b int) (c error)",
		"method (*T[K, V]) Do()", "method I.M(x int) error", "type E = T[int, string]", "type I interface",
		"type N []byte", "type T[K comparable, V any] struct", "var V error",
	}
	for _, p := range load(t, fstest.MapFS{
		"p/p.go":         {Data: []byte(source)},
		"p/p_windows.go": {Data: []byte("package p\nfunc F(a, b int) (c error) { return nil }\n")},
	}) {
		lines, names := p.Surface()
		if diff := cmp.Diff(want, lines); diff != "" || names != 7 {
			t.Errorf("%d names, want 7; lines:\n%s", names, diff)
		}
	}
}

func TestLoadFails(t *testing.T) {
	for name, text := range map[string]string{"syntax": "package {", "empty": ""} {
		if _, err := apicheck.Load(fstest.MapFS{"p/p.go": {Data: []byte(text)}}); err == nil || !strings.Contains(err.Error(), "p/p.go") {
			t.Errorf("%s: %v, want an error that names the file", name, err)
		}
	}
}
