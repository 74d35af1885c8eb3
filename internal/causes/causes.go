// Package causes is an error that has several causes: a list by Unwrap, and one
// line to read, in which no package says its name twice. It must not know what
// the errors are about.
package causes

import (
	"slices"
	"strings"
)

// Join returns the errors as one, whose text is one line: nil for none, and a
// lone one as it is. Those that are nil do not count.
func Join(errs ...error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return &list{errs}
}

// A list is the errors of several, none of them nil.
type list struct{ errs []error }

// Error returns the texts, each once, between semicolons.
func (l *list) Error() string {
	var texts []string
	for _, err := range l.errs {
		if text := err.Error(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return Line(strings.Join(texts, "; "))
}

// Unwrap returns the errors.
func (l *list) Unwrap() []error { return l.errs }

// packages are those that begin their errors with their names.
var packages = []string{"seal: ", "kms: "}

// Line returns a text on one line, in which each package says its name where it
// comes first, and no more.
func Line(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	for _, name := range packages {
		first := strings.Index(text, name)
		if first < 0 {
			continue
		}
		head, tail := text[:first+len(name)], text[first+len(name):]
		tail = strings.ReplaceAll(strings.ReplaceAll(tail, ": "+name, ": "), "; "+name, "; ")
		text = head + tail
	}
	return text
}
