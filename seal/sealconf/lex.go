package sealconf

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The kinds of a token. What has no letter is the character itself.
const (
	endToken    = 'E'
	identToken  = 'I'
	textToken   = 'T' // a text in quotes, or of several lines
	numberToken = 'N'
	boolToken   = 'B'
)

type token struct {
	kind byte
	text string // what a value or a name is, without quotes
	line int
}

// A lexer takes an HCL 1 configuration apart, as Vault's parser does: the end of
// a line ends a comment, and nothing else.
type lexer struct {
	src  []byte
	at   int
	line int
}

func (l *lexer) rest() []byte { return l.src[l.at:] }

// next returns the next token. Its errors hold nothing of the source, which may
// be a secret.
func (l *lexer) next() (token, error) {
	if err := l.skip(); err != nil {
		return token{line: l.line}, err
	}
	t := token{line: l.line}
	if l.at == len(l.src) {
		t.kind = endToken
		return t, nil
	}
	var err error
	c, size := utf8.DecodeRune(l.rest())
	switch {
	case c == '"':
		t.kind = textToken
		t.text, err = l.quoted()
	case bytes.HasPrefix(l.rest(), []byte("<<")):
		t.kind = textToken
		t.text, err = l.heredoc()
	case isLetter(c):
		t.kind, t.text = identToken, l.while(isName)
		if t.text == "true" || t.text == "false" {
			t.kind = boolToken
		}
	case c >= '0' && c <= '9', c == '-', c == '.':
		t.kind = numberToken
		t.text, err = number10(l.while(func(c rune) bool { return isName(c) || c == '+' }))
	case strings.ContainsRune("{}[]=,", c):
		l.at += size
		t.kind = byte(c)
	default:
		err = errors.New("a character that stands outside of quotes has no meaning: is a quote missing?")
	}
	return t, err
}

func isLetter(c rune) bool { return c == '_' || c != utf8.RuneError && unicode.IsLetter(c) }

func isName(c rune) bool {
	return isLetter(c) || c == '-' || c == '.' || c != utf8.RuneError && unicode.IsDigit(c)
}

// while returns the characters from here on for which f is true.
func (l *lexer) while(f func(rune) bool) string {
	rest := l.rest()
	n := bytes.IndexFunc(rest, func(c rune) bool { return !f(c) })
	if n < 0 {
		n = len(rest)
	}
	l.at += n
	return string(rest[:n])
}

// number10 returns a number as Vault makes a text of it: in decimal.
func number10(text string) (string, error) {
	if strings.Trim(text, "0123456789+-.eE") != "" && !strings.HasPrefix(strings.TrimLeft(text, "+-"), "0x") {
		return "", errNumber
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return strconv.FormatInt(n, 10), nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !strings.ContainsAny(text, ".eE") {
		return "", errNumber
	}
	return strconv.FormatFloat(f, 'f', -1, 64), nil
}

var errNumber = errors.New("this is no number, or a larger one than any field has: is a quote missing?")

// skip goes over white space and comments.
func (l *lexer) skip() error {
	for l.at < len(l.src) {
		rest := l.rest()
		switch {
		case rest[0] == '\n':
			l.line++
			l.at++
		case rest[0] == ' ', rest[0] == '\t', rest[0] == '\r':
			l.at++
		case rest[0] == '#', bytes.HasPrefix(rest, []byte("//")):
			l.while(func(c rune) bool { return c != '\n' })
		case bytes.HasPrefix(rest, []byte("/*")):
			n := bytes.Index(rest[2:], []byte("*/"))
			if n < 0 {
				return errors.New("a comment has no end: */ is missing")
			}
			l.line += bytes.Count(rest[:n+4], []byte("\n"))
			l.at += n + 4
		default:
			return nil
		}
	}
	return nil
}

// quoted reads a text in quotes. What stands in ${ and its } is left as it is,
// as Vault leaves it.
func (l *lexer) quoted() (string, error) {
	errOpen := errors.New("a text goes on in the next line: is its closing quote missing?")
	var out strings.Builder
	braces := 0
	for l.at++; l.at < len(l.src); {
		c := l.src[l.at]
		switch {
		case c == '"' && braces == 0:
			l.at++
			return out.String(), nil
		case c == '\n' && braces == 0:
			return "", errOpen
		case c == '\\' && braces == 0:
			if err := l.escape(&out); err != nil {
				return "", err
			}
			continue
		case c == '$' && braces == 0 && bytes.HasPrefix(l.rest(), []byte("${")):
			braces = 1
			out.WriteByte(c)
			l.at++
			c = '{'
		case c == '{' && braces > 0:
			braces++
		case c == '}' && braces > 0:
			braces--
		case c == '\n':
			l.line++
		}
		out.WriteByte(c)
		l.at++
	}
	return "", errOpen
}

// escape reads what stands behind a backslash.
func (l *lexer) escape(out *strings.Builder) error {
	rest := string(l.src[l.at:min(len(l.src), l.at+len(`\U0010ffff`))])
	c, multibyte, tail, err := strconv.UnquoteChar(rest, '"')
	if err != nil {
		return errors.New(`an escape is none: write \\ for a backslash`)
	}
	if c < utf8.RuneSelf || !multibyte {
		out.WriteByte(byte(c))
	} else {
		out.WriteRune(c)
	}
	l.at += len(rest) - len(tail)
	return nil
}

// heredoc reads a text of several lines: <<NAME, its lines, and NAME alone on one.
// With <<-NAME the white space in front of each is taken away.
func (l *lexer) heredoc() (string, error) {
	first, rest, ok := bytes.Cut(l.src[l.at+2:], []byte("\n"))
	name, indented := strings.CutPrefix(strings.TrimSuffix(string(first), "\r"), "-")
	if !ok || name == "" || strings.ContainsFunc(name, func(c rune) bool { return !isName(c) }) {
		return "", errors.New("behind << stands the word that ends the text, alone")
	}
	l.line++
	var lines []string
	for line := range bytes.Lines(rest) {
		l.at = len(l.src) - len(rest) + len(line)
		rest = rest[len(line):]
		text := string(line)
		if strings.TrimSpace(text) == name {
			l.at-- // the line's end
			if !strings.HasSuffix(text, "\n") {
				l.at++
			}
			if indented {
				lines = unindented(lines)
			}
			return strings.Join(lines, ""), nil
		}
		l.line++
		lines = append(lines, text)
	}
	return "", errors.New("a text of several lines has no end: the word behind << stands alone on its last line")
}

// unindented returns the lines without the white space that all have in front.
func unindented(lines []string) []string {
	blank := func(line string) string {
		return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	}
	least := len(strings.Join(lines, ""))
	for _, line := range lines {
		least = min(least, len(blank(line)))
	}
	var out []string
	for _, line := range lines {
		out = append(out, line[least:])
	}
	return out
}
