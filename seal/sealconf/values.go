package sealconf

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/internal/pathfield"
)

// Values are the fields of a stanza, as a [Provider] asks for them. A field that
// is written and empty is not set.
type Values struct {
	fields      map[string]func() []string
	environment bool // may be read
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

var variableName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]{0,60}$`)

// one returns the text of a field with env:// resolved, and file:// not.
func (v Values) one(name string) (string, error) {
	list := v.List(name)
	switch len(list) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", fmt.Errorf("%s is one value", name)
	}
	variable, ok := strings.CutPrefix(list[0], "env://")
	if !ok {
		return list[0], nil
	}
	if !v.environment {
		return "", fmt.Errorf("%s refers to the environment, which this program does not read", name)
	}
	value := os.Getenv(variable)
	switch {
	case value == "" && variableName.MatchString(variable):
		return "", fmt.Errorf("%s: the variable %s is not set", name, variable)
	case value == "": // and what stands there may be the secret itself
		return "", fmt.Errorf("%s: the variable that follows env:// is not set", name)
	}
	return value, nil
}

// Text returns the value of a field, references resolved: a file's content is
// without the white space around it. It is "" if the field is not set. For what
// may be rotated use Secret, which reads it anew.
func (v Values) Text(name string) (string, error) {
	text, err := v.one(name)
	if path, ok := strings.CutPrefix(text, "file://"); ok && err == nil {
		var content []byte
		content, err = pathfield.Read(name, path)
		text = strings.TrimSpace(string(content))
		clear(content)
	}
	if err != nil {
		return "", err
	}
	return text, nil
}

// Texts calls Text for each name, and returns the first error.
func (v Values) Texts(names ...string) (map[string]string, error) {
	return v.each(v.Text, names)
}

// Paths calls Path for each name, and returns the first error.
func (v Values) Paths(names ...string) (map[string]string, error) {
	return v.each(v.Path, names)
}

func (v Values) each(get func(string) (string, error), names []string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range names {
		text, err := get(name)
		if err != nil {
			return nil, err
		}
		out[name] = text
	}
	return out, nil
}

// Path returns the path of a field that names a file: file:///path names it
// too, and env://NAME is a variable with the path. A file's content in place of
// its path, such as a credential, is an error that does not show it.
func (v Values) Path(name string) (string, error) {
	text, err := v.one(name)
	if err != nil {
		return "", err
	}
	return pathfield.Resolve(name, text, false)
}

// File returns the path of a field that refers to a file, for a provider that
// reads it anew by itself.
func (v Values) File(name string) (path string, ok bool) {
	text, err := v.one(name)
	if err != nil {
		return "", false
	}
	return strings.CutPrefix(text, "file://")
}

// Secret returns a function that reads the field anew whenever it is called, or
// nil if it is not set. A file that is missing is that call's error, and no
// error of a start.
func (v Values) Secret(name string) func() (string, error) {
	if !v.Has(name) {
		return nil
	}
	return func() (string, error) { return v.Text(name) }
}

// content returns the value of a field as it is, a file's content to the byte.
func (v Values) content(name string) ([]byte, error) {
	text, err := v.one(name)
	if path, ok := strings.CutPrefix(text, "file://"); ok && err == nil {
		return pathfield.Read(name, path)
	}
	return []byte(text), err
}

// Bool returns a field that is true or false; false if it is not set.
func (v Values) Bool(name string) (bool, error) {
	text, err := v.Text(name)
	if err != nil || text == "" {
		return false, err
	}
	truth, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s is true or false", name)
	}
	return truth, nil
}

// EnvironmentAllowed reports whether the provider may look further in the
// environment.
func (v Values) EnvironmentAllowed() bool { return v.environment }
