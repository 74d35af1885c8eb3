package sealconf

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// A Stanza is one seal of a configuration, as it was written. Its values may be
// secrets: it prints without them.
type Stanza struct {
	Type     string
	Name     string // its name, or its type
	Disabled bool
	Pin      string
	Where    string // file and line, for errors

	fields map[string]func() []string // in closures, which no printer opens
}

// Parse reads the seal stanzas of a configuration in HCL, or in JSON where the
// file's name ends in .json. It leaves every other block alone. A configuration
// without stanzas is none: nil, and no error. At most 1 MiB is read.
func Parse(src []byte, filename string) ([]Stanza, error) {
	isJSON := strings.EqualFold(filepath.Ext(filename), ".json")
	if err := bounded(src, filename, isJSON); err != nil {
		return nil, err
	}
	var file *hcl.File
	var diags hcl.Diagnostics
	if isJSON {
		file, diags = json.Parse(src, filename)
	} else {
		file, diags = hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	}
	if diags.HasErrors() {
		return nil, diagnosed(diags)
	}
	content, _, diags := file.Body.PartialContent(&hcl.BodySchema{
		Blocks: []hcl.BlockHeaderSchema{{Type: "seal", LabelNames: []string{"type"}}},
	})
	if diags.HasErrors() {
		return nil, diagnosed(diags)
	}
	var out []Stanza
	for _, block := range content.Blocks {
		attributes, diags := block.Body.JustAttributes()
		if diags.HasErrors() {
			return nil, diagnosed(diags)
		}
		s := Stanza{
			Type: block.Labels[0], fields: map[string]func() []string{},
			Where: fmt.Sprintf("%s:%d", filename, block.DefRange.Start.Line),
		}
		for name, a := range attributes {
			value, diags := a.Expr.Value(nil)
			if diags.HasErrors() {
				return nil, fmt.Errorf("%w: %s:%d: %s is not a plain value: write ${ as $${, and %%{ as %%%%{", ErrConfig, filename, a.Range.Start.Line, name)
			}
			texts, err := textsOf(value)
			if err != nil {
				return nil, s.errorf("%s: %w", name, err)
			}
			s.fields[name] = func() []string { return texts }
		}
		if err := s.common(); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// ParseURL reads a stanza from one line: azurekeyvault://VAULT/KEY?tenant_id=…,
// awskms:///alias/NAME?region=…, awskms:///ARN, gcpckms://PROJECT/REGION/RING/KEY,
// transit://HOST/MOUNT/KEY. The query sets further fields. A URL ends up in
// logs and process lists, so it holds no secrets: those are references, or left
// to the environment.
func ParseURL(text string) (Stanza, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Opaque != "" || u.Fragment != "" {
		return Stanza{}, fmt.Errorf("%w: a seal URL is TYPE://…, without white space and #", ErrConfig)
	}
	s := Stanza{Type: u.Scheme, fields: map[string]func() []string{}}
	if u.User != nil {
		return Stanza{}, s.errorf("a URL holds no credentials: refer to them, as with client_secret=file:///path")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Stanza{}, s.errorf("what follows the ? is not name=value&name=value")
	}
	for name, values := range query {
		if isSecret(name) && !slices.ContainsFunc(values, isReference) {
			return Stanza{}, s.errorf("%s is a secret, and a URL holds none: refer to it, as with %s=file:///path", name, name)
		}
		if len(values) > 1 {
			return Stanza{}, s.errorf("%s stands twice in the URL", name)
		}
		s.fields[name] = func() []string { return values }
	}
	names, parts, err := s.parts(u.Host, strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		return Stanza{}, err
	}
	if len(parts) != len(names) || slices.Contains(parts, "") {
		return Stanza{}, s.errorf("the URL names %s, one after the other", strings.Join(names, ", "))
	}
	for i, name := range names {
		if _, twice := s.fields[name]; twice {
			return Stanza{}, s.errorf("%s stands twice in the URL", name)
		}
		s.fields[name] = func() []string { return parts[i : i+1] }
	}
	return s, s.common()
}

// parts splits host and path of a URL into the fields that they are.
func (s *Stanza) parts(host, path string) (names, parts []string, err error) {
	switch s.Type {
	case "azurekeyvault":
		return []string{"vault_name", "key_name"}, []string{host, path}, nil
	case "awskms":
		if host != "" {
			return nil, nil, s.errorf("three slashes stand before the key, as in awskms:///alias/NAME")
		}
		return []string{"kms_key_id"}, []string{path}, nil
	case "gcpckms":
		return []string{"project", "region", "key_ring", "crypto_key"}, append([]string{host}, strings.Split(path, "/")...), nil
	case "transit":
		if host != "" {
			host = "https://" + host
		}
		i := strings.LastIndex(path, "/")
		return []string{"address", "mount_path", "key_name"}, []string{host, path[:max(i, 0)], path[i+1:]}, nil
	}
	return nil, nil, s.errorf("this type has no URL form")
}

// common takes the fields that every type has.
func (s *Stanza) common() error {
	s.Name = s.Type
	for _, f := range []struct {
		name string
		set  func(string) error
	}{
		{"name", func(v string) error {
			if v == "" {
				return s.errorf("name is empty")
			}
			s.Name = v
			return nil
		}},
		{"pin", func(v string) error { s.Pin = v; return nil }},
		{"disabled", func(v string) error {
			var ok bool
			if s.Disabled, ok = truth(v); !ok {
				return s.errorf("disabled is true or false")
			}
			return nil
		}},
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
	return nil
}

// String returns type, name and place.
func (s Stanza) String() string { return fmt.Sprintf("seal %q (%s) %s", s.Type, s.Name, s.Where) }

// textsOf returns a value as texts: operators write true, "true" and 3 alike.
func textsOf(v cty.Value) ([]string, error) {
	if v.Type().IsTupleType() || v.Type().IsListType() {
		var out []string
		for _, e := range v.AsValueSlice() {
			t, err := textsOf(e)
			if err != nil || len(t) != 1 {
				return nil, fmt.Errorf("is a list of plain values")
			}
			out = append(out, t[0])
		}
		return out, nil
	}
	text, err := convert.Convert(v, cty.String)
	if err != nil || text.IsNull() || !text.IsKnown() {
		return nil, fmt.Errorf("is a text, a number or true or false")
	}
	return []string{text.AsString()}, nil
}

// diagnosed makes an error of a parser's words, without the source that they
// quote: it may hold secrets.
func diagnosed(diags hcl.Diagnostics) error {
	d := diags[slices.IndexFunc(diags, func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagError })]
	where := ""
	if d.Subject != nil {
		where = fmt.Sprintf("%s:%d: ", d.Subject.Filename, d.Subject.Start.Line)
	}
	summary := d.Summary
	if summary == "Invalid multi-line string" {
		summary = "a text goes on in the next line: is its closing quote missing?"
	}
	return fmt.Errorf("%w: %s%s", ErrConfig, where, summary)
}
