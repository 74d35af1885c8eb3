package apicheck

import (
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"regexp"
	"slices"
	"strings"
)

// documentation returns what go doc knows of the package.
func (p *Package) documentation() (*doc.Package, error) {
	return doc.NewFromFiles(p.Fset, p.Files, p.Path(), doc.PreserveAST)
}

// Page compares the methods of a type with those that the preformatted lines of
// its comment list: each word with a capital. It returns the methods that stand
// nowhere, and the words that are no method.
func (p *Package) Page(name string) (missing, unknown []string, err error) {
	d, err := p.documentation()
	if err != nil {
		return nil, nil, err
	}
	listed, methods := map[string]bool{}, map[string]bool{}
	for _, t := range d.Types {
		if t.Name != name {
			continue
		}
		for _, block := range d.Parser().Parse(t.Doc).Content {
			if code, ok := block.(*comment.Code); ok {
				for _, word := range capital.FindAllString(code.Text, -1) {
					listed[word] = true
				}
			}
		}
		for _, m := range t.Methods {
			methods[m.Name] = true
		}
	}
	return without(methods, listed), without(listed, methods), nil
}

var capital = regexp.MustCompile(`\b[A-Z]\w*`)

// without returns the names of one set that another one lacks, sorted.
func without(a, b map[string]bool) (names []string) {
	for name := range a {
		if !b[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// DocLines returns how many lines go doc prints for the package: its comment, and
// one line for each group of constants or variables, function and type.
func (p *Package) DocLines() (int, error) {
	d, err := p.documentation()
	if err != nil {
		return 0, err
	}
	text := d.Printer().Text(d.Parser().Parse(d.Doc))
	lines := 2 + strings.Count(string(text), "\n") + 1 // the clause, and the empty lines around the comment
	lines += exported(d.Consts) + exported(d.Vars) + len(d.Funcs)
	for _, t := range d.Types {
		lines += 1 + exported(t.Consts) + exported(t.Vars) + len(t.Funcs)
	}
	return lines, nil
}

func exported(values []*doc.Value) (n int) {
	for _, v := range values {
		if slices.ContainsFunc(v.Names, ast.IsExported) {
			n++
		}
	}
	return n
}
