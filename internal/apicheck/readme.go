package apicheck

import (
	"bytes"
	"io/fs"
	"path"
	"strings"
)

// A Snippet is a block of Go in a document.
type Snippet struct {
	Line int // of its first line
	Text string
}

// Program reports whether the snippet is a whole file.
func (s Snippet) Program() bool {
	return strings.HasPrefix(s.Text, "package ") || strings.Contains(s.Text, "\npackage ")
}

// Snippets returns the blocks that a Markdown document marks as go.
func Snippets(markdown string) []Snippet {
	var out []Snippet
	number, inside := 0, false
	for line := range strings.Lines(markdown) {
		number++
		switch fence := strings.TrimSpace(line); {
		case !inside && fence == "```go":
			inside = true
			out = append(out, Snippet{Line: number + 1})
		case inside && fence == "```":
			inside = false
		case inside:
			out[len(out)-1].Text += line
		}
	}
	return out
}

// FoundIn returns the name of a Go file that has the snippet's lines, in a row
// and without regard to indentation and empty lines; "" if none has.
func (s Snippet) FoundIn(fsys fs.FS) (string, error) {
	want := "\n" + flatten(s.Text)
	first, _, _ := bytes.Cut([]byte(want[1:]), []byte("\n"))
	found := ""
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skipped(name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err == nil && bytes.Contains(src, first) && strings.Contains("\n"+flatten(string(src)), want) {
			found = name
			return fs.SkipAll
		}
		return err
	})
	return found, err
}

func flatten(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
