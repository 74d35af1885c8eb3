package apicheck

import (
	"fmt"
	"go/doc"
	"path"
	"slices"
	"strings"
)

// layers says, for each area of the repository, the areas that its packages
// may reach. The areas beside one another at the top do not know each other.
var layers = map[string][]string{
	"shamir":                      {},
	"keyring":                     {},
	"keyring/named":               {"migrate", "seal", "kms", "keyring", "shamir"},
	"kms":                         {"shamir"},
	"seal":                        {"kms", "keyring", "shamir"},
	"seal/operator":               {"seal", "seal/sealhttp", "migrate", "kms", "keyring", "shamir"},
	"seal/transitengine":          {"keyring/named", "seal", "kms", "keyring", "shamir", "migrate"},
	"seal/ceremony":               {"seal", "migrate", "kms", "keyring", "shamir"},
	"seal/sealhttp":               {"seal", "kms", "keyring", "shamir"},
	"seal/sealotel":               {"seal", "seal/sealhttp", "kms", "keyring", "shamir"},
	"seal/sealconf":               {"seal", "kms", "keyring", "shamir"},
	"kms/awskms/awsseal":          {"seal/sealconf", "seal", "kms", "keyring", "shamir"}, // stanzas, beside their providers
	"kms/azurekeyvault/azureseal": {"seal/sealconf", "seal", "kms", "keyring", "shamir"},
	"kms/gcpckms/gcpseal":         {"seal/sealconf", "seal", "kms", "keyring", "shamir"},
	"migrate":                     {"seal", "kms", "keyring", "shamir"},
}

// area returns the area that a directory belongs to, "" for none.
func area(dir string) string {
	best := ""
	for name := range layers {
		if within(dir, name) && len(name) > len(best) {
			best = name
		}
	}
	return best
}

// OneWay returns what breaks the direction of imports, also by way of an
// internal package, and public packages that no area has.
func OneWay(packages []*Package) []string {
	byPath := map[string]*Package{}
	for _, p := range packages {
		byPath[p.Path()] = p
	}
	var problems []string
	for _, p := range packages {
		from := area(p.Dir)
		if from == "" {
			if p.Public() {
				problems = append(problems, p.Dir+" stands in no area: add it to the layers")
			}
			continue
		}
		seen := map[*Package]bool{}
		var visit func(q *Package, by string)
		visit = func(q *Package, by string) {
			for _, name := range imports(q.Files) {
				next := byPath[name]
				if next == nil || seen[next] {
					continue
				}
				seen[next] = true
				if to := area(next.Dir); to == "" {
					visit(next, by+" → "+next.Dir)
				} else if to != from && !slices.Contains(layers[from], to) {
					problems = append(problems, fmt.Sprintf("%s → %s: %s may not reach %s", by, next.Dir, from, to))
				}
			}
		}
		visit(p, p.Dir)
	}
	return problems
}

// strangers says of the rooms below package seal whom they must not know, so that
// it alone decides what the one does with what the other found. It is about what they
// import themselves: a record's blobs are of package kms, and the record is everybody's.
var strangers = map[string][]string{
	"internal/ledger":  {"internal/custody", "kms"},
	"internal/custody": {"internal/ledger"},
}

// Rooms returns the imports, also in tests, of what a room must not know.
func Rooms(packages []*Package) []string {
	var problems []string
	for _, p := range packages {
		for room, others := range strangers {
			if !within(p.Dir, room) {
				continue
			}
			for _, name := range imports(slices.Concat(p.Files, p.Tests)) {
				if slices.ContainsFunc(others, func(other string) bool { return within(name, path.Join(Root, other)) }) {
					problems = append(problems, fmt.Sprintf("%s imports %s, which %s must not know", p.Dir, name, room))
				}
			}
		}
	}
	return problems
}

// Dependencies returns the imports of the root module that are not of the
// standard library, or in tests of go-cmp. Cgo is none of them.
func Dependencies(packages []*Package) []string {
	var problems []string
	for _, p := range packages {
		if p.Module != "." {
			continue
		}
		for _, name := range imports(p.Files) {
			if name == "C" || !standard(name) && !within(name, Root) {
				problems = append(problems, p.Dir+" imports "+name)
			}
		}
		for _, name := range imports(p.Tests) {
			if !standard(name) && !within(name, Root) && !within(name, "github.com/google/go-cmp") {
				problems = append(problems, "a test of "+p.Dir+" imports "+name)
			}
		}
	}
	return problems
}

// standard reports whether the path is of the standard library: the first
// element of all others has a dot.
func standard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".")
}

// InternalImports returns the imports of an internal package of the root
// module, by a module that is released on its own.
func InternalImports(packages []*Package) []string {
	var problems []string
	for _, p := range packages {
		if p.Module == "." || within(p.Module, "internal") || within(p.Module, "examples") {
			continue
		}
		for _, name := range imports(slices.Concat(p.Files, p.Tests)) {
			if within(name, path.Join(Root, "internal")) {
				problems = append(problems, fmt.Sprintf("%s imports %s, and is released apart from it", p.Dir, name))
			}
		}
	}
	return problems
}

// Undocumented returns the public packages without a package comment, or
// without an example whose output is compared.
func Undocumented(packages []*Package) []string {
	var problems []string
	for _, p := range packages {
		if !p.Public() {
			continue
		}
		comment := false
		for _, file := range p.Files {
			comment = comment || strings.HasPrefix(file.Doc.Text(), "Package "+p.Name+" ")
		}
		if !comment {
			problems = append(problems, p.Dir+" has no package comment")
		}
		if !slices.ContainsFunc(doc.Examples(p.Tests...), func(e *doc.Example) bool { return e.Output != "" }) {
			problems = append(problems, p.Dir+" has no example with output")
		}
	}
	return problems
}
