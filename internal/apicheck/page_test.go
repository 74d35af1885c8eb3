package apicheck_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/apicheck"
)

// ofSeal is package seal.
func ofSeal(t *testing.T) *apicheck.Package {
	t.Helper()
	packages := loadOurs(t)
	i := slices.IndexFunc(packages, func(p *apicheck.Package) bool { return p.Dir == "seal" })
	if i < 0 {
		t.Fatal("there is no package seal")
	}
	return packages[i]
}

// TestOperatorsPage: the comment of Admin lists each of its methods, by what it is
// about.
func TestOperatorsPage(t *testing.T) {
	missing, unknown, err := ofSeal(t).Page("Admin")
	if err != nil || missing != nil || unknown != nil {
		t.Errorf("seal/admin.go lists not %q, and %q, which are no methods of Admin: %v", missing, unknown, err)
	}
}

// TestSealFitsItsPage: whoever runs go doc reads the package in one sitting.
func TestSealFitsItsPage(t *testing.T) {
	const most = 250
	lines, err := ofSeal(t).DocLines()
	if err != nil || lines > most {
		t.Errorf("go doc ./seal has %d lines, of %d at most: put what is new where it belongs in detail, on the type or in docs: %v", lines, most, err)
	}
}

func TestPage(t *testing.T) {
	const source = `// Package p is.
//
// # Two
//
//	code
package p

// A does. Not Listed.
//
//	first   Do, DoMore
//	second  Gone
type A struct{}

func (a *A) Do()     {}
func (a *A) DoMore() {}
func (a *A) Other()  {}
func (a *A) do()     {}

func New() *A { return nil }
func F()      {}
func g()      {}

const (
	B = 1
	C = 2
)

var d = 1
`
	p := load(t, fstest.MapFS{"p/p.go": {Data: []byte(source)}})[0]
	missing, unknown, err := p.Page("A")
	if diff := cmp.Diff([][]string{{"Other"}, {"Gone"}}, [][]string{missing, unknown}); diff != "" || err != nil {
		t.Error(diff, err)
	}
	// As go doc has it.
	const want = `package p // import "github.com/sealwright/sealwright/p"

Package p is.

# Two

    code

const B = 1 ...
func F()
type A struct{}
    func New() *A
`
	if lines, err := p.DocLines(); lines != strings.Count(want, "\n") || err != nil {
		t.Errorf("%d lines, want %d: %v", lines, strings.Count(want, "\n"), err)
	}
}
