package sealconf

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Stanza is one seal of a configuration, as it was written. Its values may be
// secrets: it prints without them.
type Stanza struct {
	Type     string
	Name     string // its name, or its type
	Disabled bool
	Pin      string
	Unpinned bool   // the slot is believed without a pin
	Where    string // file and line, for errors

	fields map[string]func() []string // in closures, which no printer opens
}

// Parse reads the seal stanzas of a configuration in HCL, or in JSON where it
// begins with a brace. It leaves every other block alone. A configuration
// without stanzas is none: nil, and no error. At most 1 MiB is read. The
// filename is for errors.
func Parse(src []byte, filename string) ([]Stanza, error) {
	items, err := parse(src, filename)
	if err != nil {
		return nil, err
	}
	var out []Stanza
	for _, it := range items {
		// Vault finds blocks by their name in any case, and takes kms for seal.
		if !slices.ContainsFunc([]string{"seal", "kms", "hsm"}, func(s string) bool { return strings.EqualFold(s, it.names[0]) }) {
			continue
		}
		found, err := stanzasOf(it, filename)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// stanzasOf returns the stanzas of a block: one, or in JSON, whose labels are
// names of members, several.
func stanzasOf(it item, filename string) ([]Stanza, error) {
	where := fmt.Sprintf("%s:%d", filename, it.line)
	failed := func(text string) error { return fmt.Errorf("%w: %s: %s", ErrConfig, where, text) }
	if len(it.names) > 2 {
		return nil, failed("a stanza has one label, its type; its name is a field")
	}
	objects, err := it.value.objects()
	if err != nil {
		return nil, failed(`a stanza is seal "TYPE" { fields }`)
	}
	var out []Stanza
	for _, object := range objects {
		if len(it.names) == 2 {
			s, err := newStanza(it.names[1], where, object)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
			continue
		}
		for _, member := range object {
			if member.value.kind == '"' || len(member.names) > 1 {
				return nil, failed(`a stanza has a type: seal "TYPE" { fields }`)
			}
			found, err := stanzasOf(item{names: []string{"seal", member.names[0]}, value: member.value, line: member.line}, filename)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	}
	return out, nil
}

// objects returns the items of an object, or of each object of a list.
func (v value) objects() ([][]item, error) {
	if v.kind == '{' {
		return [][]item{v.items}, nil
	}
	var out [][]item
	for _, e := range v.list {
		if e.kind != '{' {
			return nil, errors.New("no object")
		}
		out = append(out, e.items)
	}
	if out == nil {
		return nil, errors.New("no object")
	}
	return out, nil
}

func newStanza(typ, where string, object []item) (Stanza, error) {
	s := Stanza{Type: strings.ToLower(typ), Where: where, fields: map[string]func() []string{}}
	for _, it := range object {
		name := it.names[0]
		texts, err := it.value.texts()
		if err != nil || len(it.names) > 1 {
			return s, s.errorf("%s is a text, a number, true or false, or a list of them", name)
		}
		if s.fields[name] != nil {
			return s, s.errorf("%s stands twice", name)
		}
		s.fields[name] = func() []string { return texts }
	}
	return s, s.common()
}

// texts returns a value as texts: operators write true, "true" and 3 alike.
func (v value) texts() ([]string, error) {
	switch v.kind {
	case '"':
		return []string{v.text}, nil
	case '{':
		return nil, errors.New("an object")
	}
	var out []string
	for _, e := range v.list {
		if e.kind != '"' {
			return nil, errors.New("a list of others")
		}
		out = append(out, e.text)
	}
	return out, nil
}

// common takes the fields that every type has. What is empty counts as not
// written, as templates leave it.
func (s *Stanza) common() error {
	for name, value := range s.fields {
		if v := value(); len(v) == 0 || len(v) == 1 && v[0] == "" {
			delete(s.fields, name)
		}
	}
	s.Name = s.Type
	boolean := func(name string, to *bool) func(string) error {
		return func(v string) error {
			var err error
			if *to, err = strconv.ParseBool(v); err != nil {
				return s.errorf("%s is true or false", name)
			}
			return nil
		}
	}
	for _, f := range []struct {
		name string
		set  func(string) error
	}{
		{"name", func(v string) error { s.Name = v; return nil }},
		{"pin", func(v string) error { s.Pin = v; return nil }},
		{"unpinned", boolean("unpinned", &s.Unpinned)},
		{"disabled", boolean("disabled", &s.Disabled)},
	} {
		if values, ok := s.fields[f.name]; ok {
			v := values()
			if len(v) != 1 {
				return s.errorf("%s is one value", f.name)
			}
			if err := f.set(v[0]); err != nil {
				return err
			}
			delete(s.fields, f.name)
		}
	}
	if s.Pin != "" && s.Unpinned {
		return s.errorf("pin and unpinned exclude each other")
	}
	return nil
}

// String returns type, name and place.
func (s Stanza) String() string { return fmt.Sprintf("seal %q (%s) %s", s.Type, s.Name, s.Where) }

func (s *Stanza) errorf(format string, args ...any) error {
	where := s.Where
	if where != "" {
		where += ": "
	}
	return fmt.Errorf("%w: %sseal %.40q: %w", ErrConfig, where, s.Type, fmt.Errorf(format, args...))
}

// note returns a line of [Setup.Notes].
func (s *Stanza) note(format string, args ...any) string {
	named := ""
	if s.Name != s.Type {
		named = fmt.Sprintf(" named %q", s.Name)
	}
	return fmt.Sprintf("seal %q%s: ", s.Type, named) + fmt.Sprintf(format, args...)
}
