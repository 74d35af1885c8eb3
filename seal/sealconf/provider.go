package sealconf

import (
	"context"
	"fmt"
	"os"
	"regexp"
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

	// Build makes the wrapper. It makes no request. Its errors may name the
	// Go fields of Renamed, for which those of the stanza are put.
	Build   func(Values) (Made, error)
	Renamed map[string]string // Go's name of a field: the stanza's
}

// A Field is one key of a stanza, and the variables that concern it. They are
// read where the host allows it; of each list the first that is set counts, and
// an empty one is not set.
type Field struct {
	Name     string
	Required bool

	// Env are variables that mean this seal and nothing else, as
	// VAULT_AWSKMS_SEAL_KEY_ID: they fill a field that is not written, and one
	// that contradicts what is written is an error. Vault obeys the variable;
	// which of the two is meant, nobody can know.
	Env []string

	// Ambient are variables that platforms and other programs set too, as
	// AWS_REGION or VAULT_ADDR: they fill a field that is not written; what is
	// written wins. Both are told in [Setup.Notes].
	Ambient []string

	// Own are ambient variables that the provider reads by itself where the
	// field is not written, so that they don't fill it.
	Own []string

	// Group names fields that belong together: where one of them is written,
	// Ambient fills none of them, as with the TLS fields of Vault's transit.
	Group string
}

// Made is what a [Provider] makes of a stanza.
type Made struct {
	Wrapper kms.Wrapper
	Run     func(context.Context) error // runs beside it; nil: nothing
	Spec    seal.Spec                   // of a stanza without a wrapper

	// Forgeable says that the wrapper's blobs prove nothing, so that the slot
	// needs a pin: see [kms.Authenticator].
	Forgeable bool

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
			notes = append(notes, s.note("%s is accepted and means nothing here", name))
		default:
			slices.Sort(known)
			return v, nil, s.errorf("unknown field %.60q: known are %s, and name, disabled, pin, unpinned", name, strings.Join(known, ", "))
		}
	}
	slices.Sort(notes)
	if o.AllowEnvironment {
		groups := map[string]bool{}
		for _, f := range p.Fields {
			groups[f.Group] = groups[f.Group] || f.Group != "" && v.Has(f.Name)
		}
		for _, f := range p.Fields {
			said, err := v.fill(s, f, groups[f.Group])
			if err != nil {
				return v, nil, err
			}
			notes = append(notes, said...)
		}
	}
	for _, f := range p.Fields {
		if f.Required && !v.Has(f.Name) {
			variables := slices.Concat(f.Env, f.Ambient)
			if len(variables) > 0 && !o.AllowEnvironment {
				return v, nil, s.errorf("%s is required (variables such as %s are not read by this program)", f.Name, variables[0])
			}
			return v, nil, s.errorf("%s is required", f.Name)
		}
	}
	return v, notes, nil
}

// fill takes a field from its variables, and notes or refuses what they say
// otherwise. The others of its group were written, or not.
func (v *Values) fill(s *Stanza, f Field, group bool) (notes []string, err error) {
	written := v.Has(f.Name)
	for _, name := range f.Env {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		if !v.Has(f.Name) {
			v.fields[f.Name] = func() []string { return []string{value} }
		} else if !v.says(f.Name, value) {
			return nil, s.errorf("%s and the variable %s say different things: remove one", f.Name, name)
		}
	}
	for _, name := range slices.Concat(f.Ambient, f.Own) {
		value := os.Getenv(name)
		switch {
		case value == "":
			continue
		case written && !v.says(f.Name, value):
			notes = append(notes, s.note("%s is as it is written, and not as the variable %s has it", f.Name, name))
		case !v.Has(f.Name) && group:
			notes = append(notes, s.note("%s is not set: the variable %s does not count beside the fields that are written", f.Name, name))
		case !v.Has(f.Name) && slices.Contains(f.Ambient, name):
			v.fields[f.Name] = func() []string { return []string{value} }
			notes = append(notes, s.note("%s is that of the variable %s", f.Name, name))
		}
		break
	}
	return notes, nil
}

// says reports whether a field says what a variable does. A file that cannot be
// read now is the error of whoever needs it.
func (v Values) says(name, value string) bool {
	text, err := v.Text(name)
	list := v.List(name)
	return err != nil || strings.Trim(text, "/") == strings.Trim(value, "/") || len(list) == 1 && list[0] == value ||
		strings.TrimPrefix(list[0], "file://") == value
}

// renamed returns err with the stanza's names of fields in place of Go's.
func (p *Provider) renamed(err error) error {
	if len(p.Renamed) == 0 {
		return err
	}
	var names []string
	for name := range p.Renamed {
		names = append(names, regexp.QuoteMeta(name))
	}
	text := regexp.MustCompile(`\b(?:`+strings.Join(names, "|")+`)\b`).ReplaceAllStringFunc(err.Error(), func(name string) string {
		return p.Renamed[name]
	})
	return &renamedError{text, err}
}

type renamedError struct {
	text string
	err  error
}

func (e *renamedError) Error() string { return e.text }
func (e *renamedError) Unwrap() error { return e.err }

// typed returns the stanzas that VAULT_SEAL_TYPE and BAO_SEAL_TYPE ask for: one
// of that type where there is none. In Vault the variable gives every stanza
// another type.
func typed(stanzas []Stanza, o *Options) ([]Stanza, error) {
	if !o.AllowEnvironment {
		return stanzas, nil
	}
	for _, name := range []string{"BAO_SEAL_TYPE", "VAULT_SEAL_TYPE"} {
		typ := strings.ToLower(os.Getenv(name))
		if typ == "" {
			continue
		}
		if len(stanzas) == 0 {
			return []Stanza{{Type: typ, Name: typ, Where: "the variable " + name}}, nil
		}
		wanted := func(s Stanza) bool { return !s.Disabled && s.Type != "threshold" && s.Type != "shamir" }
		of := func(s Stanza) bool { return wanted(s) && s.Type == typ }
		if typ == "shamir" && !slices.ContainsFunc(stanzas, wanted) || slices.ContainsFunc(stanzas, of) {
			return stanzas, nil
		}
		return nil, fmt.Errorf("%w: the variable %s asks for a seal %.40q, and the stanzas for another: remove one", ErrConfig, name, typ)
	}
	return stanzas, nil
}
