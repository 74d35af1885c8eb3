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
