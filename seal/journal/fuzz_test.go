package journal_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal/journal"
)

// FuzzVerify: whatever a file holds, the reader neither panics nor believes a line
// that has two encodings; what it takes for whole it takes for the same by its head,
// and not once anything of it is changed.
func FuzzVerify(f *testing.F) {
	text, err := os.ReadFile(golden)
	must(f, err)
	f.Add(text, uint(3))
	f.Add(text[:len(text)/2], uint(400))
	lines := bytes.SplitAfter(text, []byte("\n"))
	for i, line := range lines {
		f.Add(line, uint(i))
	}
	f.Add(append(bytes.Clone(lines[0]), make([]byte, 70_000)...), uint(0))
	f.Fuzz(func(t *testing.T, text []byte, at uint) {
		for line := range bytes.Lines(text) {
			if is, same := journal.Canonical(bytes.TrimSuffix(line, []byte("\n"))); is && !same {
				t.Fatalf("%q has another encoding", line)
			}
		}
		result, err := journal.Verify(t.Context(), journal.Bytes(text))
		_, events, readErr := read(journal.Bytes(text))
		if (err == nil) != (readErr == nil) || uint64(len(events)) != result.Lines {
			t.Fatalf("verified %d lines, %v; read %d, %v", result.Lines, err, len(events), readErr)
		}
		if err != nil || result.Lines == 0 {
			return
		}
		if _, err := journal.Verify(t.Context(), journal.Bytes(text), result.Last); err != nil {
			t.Fatalf("by its own head: %v", err)
		}
		changed := bytes.Clone(text)
		i := int(at % uint(len(text)))
		changed[i] ^= 0x01
		if _, err := journal.Verify(t.Context(), journal.Bytes(changed), result.Last); err == nil && i < len(text)-int(result.Tail) {
			t.Fatalf("byte %d was changed, and it was not noticed", i)
		}
	})
}

// FuzzParseHead: what is taken for a head is what is written for it.
func FuzzParseHead(f *testing.F) {
	text, err := os.ReadFile(golden + ".head")
	must(f, err)
	f.Add(string(text))
	f.Add("sealwright head 1 AAAAAAAAAAAAAAAAAAAAAAAAAA 18446744073709551615 " + strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, text string) {
		if head, err := journal.ParseHead(text); err == nil && head.String() != strings.TrimSpace(text) {
			t.Fatalf("%q became %q", text, head)
		}
	})
}
