package apicheck

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/token"
	"slices"
	"strings"
)

// Surface returns a line for each thing that the package exports: constants,
// variables, functions, types, their methods and fields. names counts those
// that stand at the top level.
func (p *Package) Surface() (lines []string, names int) {
	s := surface{fset: p.Fset}
	for _, file := range p.Files {
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				s.function(d)
			case *ast.GenDecl:
				s.general(d)
			}
		}
	}
	slices.Sort(s.lines)
	slices.Sort(s.names)
	// A name may be declared once for each system.
	return slices.Compact(s.lines), len(slices.Compact(s.names))
}

type surface struct {
	fset  *token.FileSet
	lines []string
	names []string
}

func (s *surface) add(parts ...string) { s.lines = append(s.lines, strings.Join(parts, " ")) }

func (s *surface) function(d *ast.FuncDecl) {
	if !d.Name.IsExported() {
		return
	}
	signature := strings.TrimPrefix(s.text(d.Type), "func")
	if d.Recv == nil {
		s.names = append(s.names, d.Name.Name)
		s.add("func", d.Name.Name+signature)
		return
	}
	receiver := d.Recv.List[0].Type
	if base := baseName(receiver); base != nil && base.IsExported() {
		s.add("method", "("+s.text(receiver)+")", d.Name.Name+signature)
	}
}

func (s *surface) general(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if !name.IsExported() {
					continue
				}
				s.names = append(s.names, name.Name)
				line := d.Tok.String() + " " + name.Name
				if spec.Type != nil {
					line += " " + s.text(spec.Type)
				}
				s.add(line)
			}
		case *ast.TypeSpec:
			if spec.Name.IsExported() {
				s.names = append(s.names, spec.Name.Name)
				s.typ(spec)
			}
		}
	}
}

func (s *surface) typ(spec *ast.TypeSpec) {
	name := spec.Name.Name
	head := "type " + name
	if spec.TypeParams != nil {
		head += s.typeParams(spec.TypeParams)
	}
	if spec.Assign.IsValid() {
		head += " ="
	}
	switch t := spec.Type.(type) {
	case *ast.StructType:
		s.add(head, "struct")
		s.members("field", name, t.Fields)
	case *ast.InterfaceType:
		s.add(head, "interface")
		s.members("method", name, t.Methods)
	default:
		s.add(head, s.text(t))
	}
}

func (s *surface) members(kind, owner string, list *ast.FieldList) {
	for _, member := range list.List {
		text := s.text(member.Type)
		if len(member.Names) == 0 {
			if base := baseName(member.Type); base == nil || base.IsExported() {
				s.add("embedded", owner, text)
			}
			continue
		}
		for _, name := range member.Names {
			switch {
			case name.IsExported() && kind == "method":
				s.add(kind, owner+"."+name.Name+strings.TrimPrefix(text, "func"))
			case name.IsExported():
				s.add(kind, owner+"."+name.Name, text)
			case kind == "method":
				s.add("closed", owner) // an unexported method: nobody else implements it
			}
		}
	}
}

func (s *surface) typeParams(list *ast.FieldList) string {
	var parts []string
	for _, field := range list.List {
		for _, name := range field.Names {
			parts = append(parts, name.Name+" "+s.text(field.Type))
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// text returns source on one line.
func (s *surface) text(node ast.Node) string {
	var b bytes.Buffer
	if err := format.Node(&b, s.fset, node); err != nil {
		return "unprintable: " + err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// baseName returns the name of a receiver's or an embedded type, nil if it has
// none, such as a union of constraints.
func baseName(t ast.Expr) *ast.Ident {
	switch t := t.(type) {
	case *ast.Ident:
		return t
	case *ast.StarExpr:
		return baseName(t.X)
	case *ast.IndexExpr:
		return baseName(t.X)
	case *ast.IndexListExpr:
		return baseName(t.X)
	case *ast.SelectorExpr:
		return t.Sel
	}
	return nil
}
