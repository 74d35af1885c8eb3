package sealconf

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

// A Provider reads the stanzas of one type.
type Provider struct {
	Type    string
	Fields  []Field
	Ignored []string // fields that Vault accepts and that mean nothing here; see [Setup.Notes]

	// Build makes the wrapper. It makes no request.
	Build func(Values) (Made, error)
}

// A Field is one key of a stanza.
type Field struct {
	Name     string
	Required bool
	Env      []string // the first of these variables that is set fills it, or must agree
}

// Made is what a [Provider] makes of a stanza.
type Made struct {
	Wrapper kms.Wrapper
	Run     func(context.Context) error // runs beside it; nil: nothing
	Spec    seal.Spec                   // of a stanza without a wrapper

	of []string // children of a threshold
	k  int
}

// isSecret reports whether a field never stands in a URL.
func isSecret(name string) bool {
	switch name {
	case "client_secret", "cert_password", "access_key", "secret_key", "session_token", "token", "current_key", "previous_key":
		return true
	}
	return false
}

func isReference(v string) bool {
	return strings.HasPrefix(v, "file://") || strings.HasPrefix(v, "env://")
}

// Values are the fields of a stanza, as a [Provider] asks for them.
type Values struct {
	fields      map[string]func() []string
	environment bool // may be read
}

// values checks the stanza against what its type knows, and lets variables
// fill in where that is allowed.
func (s *Stanza) values(p *Provider, o *Options) (Values, []string, error) {
	v := Values{fields: map[string]func() []string{}, environment: o.AllowEnvironment}
	var notes, known []string
	for _, f := range p.Fields {
		known = append(known, f.Name)
	}
	for name, value := range s.fields {
		switch {
		case slices.Contains(known, name):
			v.fields[name] = value
		case slices.Contains(p.Ignored, name) || name == "priority" || name == "purpose":
			notes = append(notes, fmt.Sprintf("seal %q: %s is accepted and means nothing here", s.Type, name))
		default:
			slices.Sort(known)
			return v, nil, s.errorf("unknown field %q: known are %s, and name, disabled, pin", name, strings.Join(known, ", "))
		}
	}
	slices.Sort(notes)
	for _, f := range p.Fields {
		if err := v.fill(s, f); err != nil {
			return v, nil, err
		}
		if f.Required && v.fields[f.Name] == nil {
			return v, nil, s.errorf("%s is required", f.Name)
		}
	}
	return v, notes, nil
}

// fill takes a field from the first of its variables that is set. One that
// contradicts what is written is an error: a stray variable must not change the
// key in use.
func (v *Values) fill(s *Stanza, f Field) error {
	if !v.environment {
		return nil
	}
	for _, name := range f.Env {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		if !v.Has(f.Name) {
			v.fields[f.Name] = func() []string { return []string{value} }
		} else if written, err := v.Text(f.Name); err == nil && written != value {
			return s.errorf("%s and the variable %s say different things: remove one", f.Name, name)
		}
		return nil
	}
	return nil
}

// Has reports whether the field is set.
func (v Values) Has(name string) bool { return v.fields[name] != nil }

// List returns the texts of a field that may have several; nil if it is not
// set.
func (v Values) List(name string) []string {
	if !v.Has(name) {
		return nil
	}
	return v.fields[name]()
}

// Text returns the value of a field, references resolved; "" if it is not set.
func (v Values) Text(name string) (string, error) {
	list := v.List(name)
	switch len(list) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", fmt.Errorf("%s is one value", name)
	}
	text := list[0]
	if path, ok := strings.CutPrefix(text, "file://"); ok {
		text, err := readValue(path)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		return text, nil
	}
	if variable, ok := strings.CutPrefix(text, "env://"); ok {
		if !v.environment {
			return "", fmt.Errorf("%s refers to the environment, which this program does not read", name)
		}
		value := os.Getenv(variable)
		if value == "" {
			return "", fmt.Errorf("%s: the variable %s is not set", name, variable)
		}
		return value, nil
	}
	return text, nil
}

// maxValue is the size in bytes of the largest file that a value refers to.
const maxValue = 64 << 10

func readValue(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxValue+1))
	if err == nil && len(b) > maxValue {
		err = fmt.Errorf("%s has more than %d bytes: it is no value", path, maxValue)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// Texts calls Text for each name, and returns the first error.
func (v Values) Texts(names ...string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range names {
		text, err := v.Text(name)
		if err != nil {
			return nil, err
		}
		out[name] = text
	}
	return out, nil
}

// File returns the path of a field that refers to a file, for a provider that
// reads it anew by itself.
func (v Values) File(name string) (path string, ok bool) {
	list := v.List(name)
	if len(list) != 1 {
		return "", false
	}
	return strings.CutPrefix(list[0], "file://")
}

// Secret returns a function that reads the field anew, or nil if it is not set.
func (v Values) Secret(name string) func() (string, error) {
	if !v.Has(name) {
		return nil
	}
	return func() (string, error) { return v.Text(name) }
}

// Bool returns a field that is true or false; false if it is not set.
func (v Values) Bool(name string) (bool, error) {
	text, err := v.Text(name)
	if err != nil || !v.Has(name) {
		return false, err
	}
	truth, ok := truth(text)
	if !ok {
		return false, fmt.Errorf("%s is true or false", name)
	}
	return truth, nil
}

func truth(text string) (value, ok bool) {
	switch text {
	case "true", "1":
		return true, true
	case "false", "0", "":
		return false, true
	}
	return false, false
}

// EnvironmentAllowed reports whether the provider may look further in the
// environment.
func (v Values) EnvironmentAllowed() bool { return v.environment }
