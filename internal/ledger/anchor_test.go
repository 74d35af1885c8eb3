package ledger

import (
	"bytes"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
)

// The golden of anchor 1, as FORMAT.md shows it.
const goldenAnchor = `{"anchor":1,"store":"00112233445566778899aabbccddeeff","generation":18446744073709551615,` +
	`"digest":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}` + "\n"

// The golden of anchor 2, which has the digest of the data key in use.
const goldenAnchor2 = `{"anchor":2,"store":"00112233445566778899aabbccddeeff","generation":7,` +
	`"digest":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",` +
	`"term":"0100000000000000000000000000000000000000000000000000000000000000"}` + "\n"

func TestAnchorFormat(t *testing.T) {
	for golden, m := range map[string]Mark{
		goldenAnchor:  {Store: "00112233445566778899aabbccddeeff", Generation: 1<<64 - 1, Digest: record.DigestOf([]byte("test"))},
		goldenAnchor2: {Store: "00112233445566778899aabbccddeeff", Generation: 7, Digest: record.DigestOf([]byte("test")), term: [32]byte{1}},
	} {
		if got := m.marshal(); string(got) != golden {
			t.Errorf("written %s, want %s", got, golden)
		}
		got, err := parseAnchor([]byte(golden))
		if err != nil || got.Store != m.Store || !got.Same(m) || got.term != m.term {
			t.Errorf("read %+v, %v", got, err)
		}
	}
}

func FuzzAnchor(f *testing.F) {
	f.Add([]byte(goldenAnchor))
	f.Add([]byte(`{"anchor":1,"store":"","generation":1,"digest":""}`))
	f.Add([]byte(goldenAnchor2))
	f.Add([]byte(`{"anchor":2}`))
	f.Add([]byte(`{"anchor":3}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := parseAnchor(text); err == nil && !bytes.Equal(m.marshal(), text) {
			t.Errorf("%q reads as %q", text, m.marshal())
		}
	})
}
