// Package apicheck reads the repository's Go files and says where they break
// the rules of the house: what may be imported, what must be documented, what
// is exported. It parses and does not build, so that it sees the files of all
// systems at once.
package apicheck

import (
	"bufio"
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Root is the path of the root module.
const Root = "github.com/sealwright/sealwright"

// A Package is one directory of Go files.
type Package struct {
	Dir    string // from the root of the repository, with slashes; "." for the root
	Module string // directory of its module, likewise
	Name   string // "" if it has test files only
	Files  []*ast.File
	Tests  []*ast.File // of the package itself, and of the external test package
	Fset   *token.FileSet
}

// Path returns the import path.
func (p *Package) Path() string { return path.Join(Root, p.Dir) }

// Public reports whether others can import the package.
func (p *Package) Public() bool {
	return p.Name != "" && p.Name != "main" && !p.internal() && !within(p.Dir, "examples")
}

func (p *Package) internal() bool { return slices.Contains(strings.Split(p.Dir, "/"), "internal") }

// Load returns the packages below the root of fsys, by directory. Like the go
// command it leaves out testdata, and what begins with a dot or underscore.
func Load(fsys fs.FS) ([]*Package, error) {
	var packages []*Package
	modules := map[string]string{} // directory to that of its module
	err := fs.WalkDir(fsys, ".", func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if skipped(dir) {
			return fs.SkipDir
		}
		modules[dir] = modules[path.Dir(dir)]
		if module, err := hasModule(fsys, dir); err != nil {
			return err
		} else if module {
			modules[dir] = dir
		}
		p, err := loadPackage(fsys, dir, modules[dir])
		if err != nil || p == nil {
			return err
		}
		packages = append(packages, p)
		return nil
	})
	return packages, err
}

func skipped(dir string) bool {
	base := path.Base(dir)
	return dir != "." && (base == "testdata" || base[0] == '.' || base[0] == '_')
}

func hasModule(fsys fs.FS, dir string) (bool, error) {
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func loadPackage(fsys fs.FS, dir, module string) (*Package, error) {
	names, err := fs.Glob(fsys, path.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		return nil, err
	}
	p := &Package{Dir: dir, Module: module, Fset: token.NewFileSet()}
	for _, name := range names {
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		mode := parser.ParseComments | parser.SkipObjectResolution
		test, nested := strings.HasSuffix(name, "_test.go"), module != "" && module != "."
		if test && !bytes.Contains(src, []byte("\nfunc Example")) || !test && (p.internal() || nested) {
			mode |= parser.ImportsOnly // no rule asks for more
		}
		file, err := parser.ParseFile(p.Fset, name, src, mode)
		if err != nil {
			return nil, err
		}
		if test {
			p.Tests = append(p.Tests, file)
		} else if !ignored(src) {
			p.Files = append(p.Files, file)
			p.Name = file.Name.Name
		}
	}
	return p, nil
}

// ignored reports whether a build constraint leaves the file out of every
// build: a program run by hand.
func ignored(src []byte) bool {
	for lines := bufio.NewScanner(strings.NewReader(string(src))); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "//go:build ignore":
			return true
		case strings.HasPrefix(line, "package "):
			return false
		}
	}
	return false
}

// imports returns the import paths of files, sorted, each once.
func imports(files []*ast.File) []string {
	var out []string
	for _, file := range files {
		for _, spec := range file.Imports {
			if p, err := strconv.Unquote(spec.Path.Value); err == nil {
				out = append(out, p)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// within reports whether name is dir, or below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, dir+"/")
}
