package record_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sealwright/sealwright/internal/record"
)

func TestSecrets(t *testing.T) {
	h := full(t)
	h.then(h.Rotate(stepOn(&h.State, ""), termOf(&h.Record, record.TermPassive)))
	s := &h.State
	b := s.Marshal()
	if cap(b) != len(b) && cap(b)-len(b) > 64 {
		t.Errorf("%d bytes set aside for %d: a slice that grows leaves copies of keys behind", cap(b), len(b))
	}
	got, err := record.ParseSecrets(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&s.Secrets, got); d != "" {
		t.Errorf("secrets read back otherwise (-written +read):\n%s", d)
	}
	clear(b)
	if d := cmp.Diff(&s.Secrets, got); d != "" {
		t.Errorf("what was read is part of what it was read from:\n%s", d)
	}
	kept := got.Terms
	got.Wipe()
	if got.Terms != nil || got.Identities != nil || kept[0].Key != [32]byte{} {
		t.Error("keys outlive Wipe")
	}
}

// TestSecretsRefused: only what Marshal would write is read, and a failed
// reading hands out nothing.
func TestSecretsRefused(t *testing.T) {
	s := full(t).State
	b := s.Marshal()
	refuse := func(name string, b []byte, says string) {
		t.Helper()
		got, err := record.ParseSecrets(b)
		if got != nil || !errors.Is(err, record.ErrMalformed) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range b {
		refuse("truncated", b[:i], "sealed part")
	}
	refuse("a byte behind", append(bytes.Clone(b), 0), "sealed part of the wrong length")
	refuse("version 0", append([]byte{0}, b[1:]...), "sealed part of an unknown version")
	refuse("version 2", append([]byte{2}, b[1:]...), "sealed part of an unknown version")

	for _, tt := range []struct {
		name   string
		change func(*record.Secrets)
		says   string
	}{
		{"no terms", func(s *record.Secrets) { s.Terms = nil }, "0 active terms"},
		{"no active term", func(s *record.Secrets) { s.Terms[1].State = record.TermOld }, "0 active terms"},
		{"two active terms", func(s *record.Secrets) { s.Terms[0].State = record.TermActive }, "2 active terms"},
		{"a term in no state", func(s *record.Secrets) { s.Terms[0].State = 0 }, "term 1 in an unknown state"},
		{"a term in a new state", func(s *record.Secrets) { s.Terms[0].State = 4 }, "term 1 in an unknown state"},
		{"term 0", func(s *record.Secrets) { s.Terms[0].Number = 0 }, "terms out of order"},
		{"a term twice", func(s *record.Secrets) { s.Terms[0].Number = s.Terms[1].Number }, "terms out of order"},
		{"terms in another order", func(s *record.Secrets) { s.Terms[0], s.Terms[1] = s.Terms[1], s.Terms[0] }, "terms out of order"},
		{"an identity of slot 0", func(s *record.Secrets) { s.Identities[0] = [32]byte{} }, "identities out of order"},
		{"too many identities", func(s *record.Secrets) {
			for i := range uint32(record.MaxSlots) {
				s.Identities[100+i] = [32]byte{}
			}
		}, "wrong length"},
		{"too many digests", func(s *record.Secrets) { s.Digests = make([]record.Digest, record.MaxDigests+1) }, "wrong length"},
		{"too long a journal", func(s *record.Secrets) { s.Journal = make([]record.Entry, record.MaxJournal+1) }, "wrong length"},
	} {
		c := s.Clone()
		tt.change(&c.Secrets)
		refuse(tt.name, c.Marshal(), tt.says)
	}

	// Two identities, swapped or the same: the map that Marshal is given cannot say so.
	at := 1 + 4 + len(s.Terms)*45 + 4
	swapped := bytes.Clone(b)
	copy(swapped[at:], b[at+36:at+72])
	copy(swapped[at+36:], b[at:at+36])
	refuse("identities in another order", swapped, "identities out of order")
	twice := bytes.Clone(b)
	copy(twice[at:], b[at+36:at+72])
	refuse("an identity twice", twice, "identities out of order")
}

// TestSecretsAllocation: a count is believed only as far as the input reaches.
func TestSecretsAllocation(t *testing.T) {
	for name, lists := range map[string][]uint32{
		"terms":           {1<<32 - 1},
		"identities":      {0, 1<<32 - 1},
		"digests":         {0, 0, 1<<32 - 1},
		"journal":         {0, 0, 0, 1<<32 - 1},
		"terms in limits": {record.MaxTerms},
	} {
		b := []byte{1}
		for _, n := range lists {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		b = append(b, 0, 0, 0)
		var err error
		if n := allocated(func() { _, err = record.ParseSecrets(b) }); n > 8<<10 {
			t.Errorf("%s: %d bytes allocated for %d", name, n, len(b))
		}
		if !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := append([]byte{1}, make([]byte, 12)...)
	text = binary.BigEndian.AppendUint32(text, 1)
	text = append(text, make([]byte, 16)...)
	text = append(text, 0xff, 0xff)
	text = append(text, make([]byte, 20)...)
	if _, err := record.ParseSecrets(text); !errors.Is(err, record.ErrMalformed) {
		t.Errorf("a text longer than the input: %v", err)
	}
}

// TestTransitionsOwnTheirKeys: a transition leaves the keys of the state it was given alone,
// and works on one copy of them, which the next state holds and can wipe.
func TestTransitionsOwnTheirKeys(t *testing.T) {
	h := proven(t)
	before := h.State
	after, err := before.Rotate(stepOn(&before, ""), termOf(&before.Record, record.TermActive))
	if err != nil {
		t.Fatal(err)
	}
	keys := after.Terms[:cap(after.Terms)]
	after.Secrets.Wipe()
	for _, k := range keys {
		if k.Key != [32]byte{} {
			t.Error("a key outlives Wipe")
		}
	}
	if before.Terms[0].Key == [32]byte{} || before.Identities[1] == [32]byte{} {
		t.Error("wiping the next state wiped the one before")
	}
}
