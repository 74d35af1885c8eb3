package sqlsource

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// An id is the parts of the key, joined by commas, and behind a # the column where
// there are several: "42", "eu,42", "42#secret". Bytes that would be taken for
// these are escaped as in URLs.
const escaped = "%,#"

func escape(part string) string {
	var b strings.Builder
	for i := range len(part) {
		if c := part[i]; c < ' ' || c == 0x7f || strings.IndexByte(escaped, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescape(part string) (string, error) {
	first, rest, found := strings.Cut(part, "%")
	if !found {
		return part, nil
	}
	var b strings.Builder
	b.WriteString(first)
	for found {
		if len(rest) < 2 {
			return "", strconv.ErrSyntax
		}
		c, err := strconv.ParseUint(rest[:2], 16, 8)
		if err != nil {
			return "", err
		}
		b.WriteByte(byte(c))
		first, rest, found = strings.Cut(rest[2:], "%")
		b.WriteString(first)
	}
	return b.String(), nil
}

// A place is a column in a row.
type place struct {
	key    []string // in text, as the dialect writes it
	column int
}

func (s *Source) id(p place) string {
	parts := make([]string, len(p.key))
	for i, part := range p.key {
		parts[i] = escape(part)
	}
	id := strings.Join(parts, ",")
	if len(s.columns) > 1 {
		id += "#" + escape(s.columns[p.column].name)
	}
	return id
}

func (s *Source) place(id string) (p place, err error) {
	key, behind, found := strings.Cut(id, "#")
	if found != (len(s.columns) > 1) {
		return p, fmt.Errorf("the id %q is not of these columns", id)
	}
	if found {
		name, err := unescape(behind)
		p.column = slices.IndexFunc(s.columns, func(c column) bool { return c.name == name })
		if err != nil || p.column < 0 {
			return p, fmt.Errorf("the id %q names no column of these", id)
		}
	}
	parts := strings.Split(key, ",")
	if len(parts) != len(s.keys) {
		return p, fmt.Errorf("the id %q has not the %d parts of the key", id, len(s.keys))
	}
	for _, part := range parts {
		text, err := unescape(part)
		if err != nil {
			return p, fmt.Errorf("the id %q is not one of ours", id)
		}
		p.key = append(p.key, text)
	}
	return p, nil
}
