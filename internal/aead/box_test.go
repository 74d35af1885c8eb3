package aead_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
)

func TestBox(t *testing.T) {
	box, err := aead.SealBox(key(1), "info", []byte("plaintext"), []byte("aad"))
	if err != nil || len(box) != len("plaintext")+aead.BoxOverhead {
		t.Fatalf("box of %d bytes, %v", len(box), err)
	}
	if got, err := aead.OpenBox(key(1), "info", box, []byte("aad")); err != nil || string(got) != "plaintext" {
		t.Fatalf("OpenBox = %q, %v", got, err)
	}
	for i := range len(box) * 8 {
		b := bytes.Clone(box)
		b[i/8] ^= 1 << (i % 8)
		want := aead.ErrCorrupt
		if i/8 < 32 {
			want = aead.ErrWrongKey // salt and commitment
		}
		if _, err := aead.OpenBox(key(1), "info", b, []byte("aad")); !errors.Is(err, want) {
			t.Fatalf("bit %d flipped: %v, want %v", i, err, want)
		}
	}
	for name, c := range map[string]struct {
		key       []byte
		info, aad string
		box       []byte
		want      error
		text      string
	}{
		"other key":             {key(2), "info", "aad", box, aead.ErrWrongKey, "aead: wrong key"},
		"other info":            {key(1), "inf0", "aad", box, aead.ErrWrongKey, "aead: wrong key"},
		"other associated data": {key(1), "info", "", box, aead.ErrCorrupt, "aead: corrupt"},
		"truncated":             {key(1), "info", "aad", box[:len(box)-1], aead.ErrCorrupt, "aead: corrupt"},
		"short":                 {key(1), "info", "aad", box[:aead.BoxOverhead-1], aead.ErrCorrupt, "aead: corrupt"},
		"empty":                 {key(1), "info", "aad", nil, aead.ErrCorrupt, "aead: corrupt"},
		"short key":             {key(1)[1:], "info", "aad", box, aead.ErrKeySize, "aead: key is not 32 bytes long"},
	} {
		got, err := aead.OpenBox(c.key, c.info, c.box, []byte(c.aad))
		if got != nil || !errors.Is(err, c.want) || err.Error() != c.text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := aead.SealBox(key(1)[1:], "", nil, nil); !errors.Is(err, aead.ErrKeySize) {
		t.Errorf("SealBox with a short key: %v", err)
	}
}

func TestBoxesDiffer(t *testing.T) {
	a, err := aead.SealBox(key(1), "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := aead.SealBox(key(1), "", nil, nil)
	if err != nil || bytes.Equal(a[:16], b[:16]) {
		t.Errorf("two boxes with one salt, %v", err)
	}
}
