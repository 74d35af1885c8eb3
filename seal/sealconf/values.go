package sealconf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	if value == "" {
		return "", fmt.Errorf("%s: the variable %.60s is not set", name, variable)
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
		content, err = readValue(path)
		text = strings.TrimSpace(string(content))
	}
	if err != nil {
		return "", fieldError(name, err)
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
	path := strings.TrimPrefix(text, "file://")
	if isContent(path) {
		return "", fmt.Errorf("%s is the path of a file, and what is written looks like a file's content: put it into a file that only this server may read, and write its path", name)
	}
	return path, nil
}

// isContent reports whether a text is no path, but what a file holds: JSON, PEM,
// or a long run of base64.
func isContent(text string) bool {
	if len(text) > 255 || strings.ContainsAny(text, "\r\n\x00{") || strings.Contains(text, "-----") {
		return true
	}
	return len(text) >= 64 && !strings.ContainsAny(text, ".\\") && !strings.HasPrefix(text, "/")
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
		content, err := readValue(path)
		return content, fieldError(name, err)
	}
	return []byte(text), err
}

// maxValue is the size in bytes of the largest file that a value refers to.
const maxValue = 64 << 10

func readValue(path string) ([]byte, error) {
	// A look before it is opened: to open a pipe would wait for a writer.
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return nil, &valueError{path, err}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &valueError{path, err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxValue+1))
	if err == nil && len(b) > maxValue {
		err = fmt.Errorf("it has more than %d bytes: it is no value", maxValue)
	}
	if err != nil {
		return nil, &valueError{path, err}
	}
	return b, nil
}

// A valueError says why a file cannot be read. It shows the path only where it
// is one: somebody may have written the secret in its place.
type valueError struct {
	path string
	err  error
}

func (e *valueError) Error() string {
	err := e.err
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	if filepath.IsAbs(e.path) && !isContent(e.path) {
		return fmt.Sprintf("the file %q: %v", e.path, err)
	}
	return fmt.Sprintf("the file that follows file:// : %v: write its whole path", err)
}

func (e *valueError) Unwrap() error { return e.err }

func fieldError(name string, err error) error {
	if _, ok := errors.AsType[*valueError](err); !ok {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
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
