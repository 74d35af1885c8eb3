// Package foreign makes the words of others fit for an error or a log: one line,
// without what moves a cursor, colours a terminal, or turns the direction of
// text around.
package foreign

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns s on one line, and at most limit bytes of it. Runs of white space
// and of what is not printable become one space.
func Line(s string, limit int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if len(s) <= limit {
		return s
	}
	cut := max(0, limit)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Clean returns s as it is if it is one printable line, and else Line of it,
// however long it is.
func Clean(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return Line(s, len(s)*len("\uFFFD"))
}

// Error returns err as it is where it says one printable line, and otherwise an
// error that does, and is err by errors.Is and errors.As.
func Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if line := Clean(text); line != text {
		return &said{line, err}
	}
	return err
}

// said is an error in other words.
type said struct {
	line string
	err  error
}

func (s *said) Error() string { return s.line }
func (s *said) Unwrap() error { return s.err }
