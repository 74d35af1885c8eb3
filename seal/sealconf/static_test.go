package sealconf_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/secret/secrettest"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

func static(t *testing.T, fields ...string) kms.Wrapper {
	t.Helper()
	return build(t, "seal \"static\" {\n"+strings.Join(fields, "\n")+"\n}", sealconf.Options{}).KMS["static"]
}

func TestStaticConformance(t *testing.T) {
	kmstest.Conformance(t, func(t *testing.T, key string) kms.Wrapper {
		return static(t, fmt.Sprintf("current_key_id = %q", key), fmt.Sprintf("current_key = %q", strings.Repeat(key, 32)))
	}, kmstest.Options{})
}

// All spellings of one key are one key.
func TestStaticSpellings(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcde\x7e")
	var blobs []*kms.Blob
	var wrappers []kms.Wrapper
	for _, text := range []string{
		string(key), hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)),
		base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key),
	} {
		w := static(t, `current_key_id = "id"`, fmt.Sprintf("current_key = %q", text))
		blob, err := w.Wrap(context.Background(), make([]byte, 32), kms.Binding{Store: "s"})
		if err != nil {
			t.Fatal(err)
		}
		blobs, wrappers = append(blobs, blob), append(wrappers, w)
	}
	for i, b := range blobs {
		for j, w := range wrappers {
			if _, err := w.Unwrap(context.Background(), b, kms.Binding{Store: "s"}); err != nil {
				t.Errorf("%d in %d: %v", i, j, err)
			}
		}
	}
}

// The previous key unwraps, and does not wrap.
func TestStaticPrevious(t *testing.T) {
	ctx, b := context.Background(), kms.Binding{Store: "s"}
	old := static(t, `current_key_id = "1"`, `current_key = "`+strings.Repeat("a", 32)+`"`)
	both := static(t, `current_key_id = "2"`, `current_key = "`+strings.Repeat("b", 32)+`"`,
		`previous_key_id = "1"`, `previous_key = "`+strings.Repeat("a", 32)+`"`)
	blob, err := old.Wrap(ctx, make([]byte, 32), b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := both.Unwrap(ctx, blob, b); err != nil {
		t.Error(err)
	}
	if blob, err = both.Wrap(ctx, make([]byte, 32), b); err != nil || blob.KeyID != "2" {
		t.Fatal(blob, err)
	}
	_, err = old.Unwrap(ctx, blob, b)
	if !errors.Is(err, kms.ErrWrongKey) || !strings.Contains(err.Error(), "no key of that id: write it as previous_key_id") {
		t.Error(err)
	}
}

// A static seal rotated as OpenBao documents it locked its store out at the
// second step, and until then everything said that all was well: the wrapper
// named no key that Wrap would use. Its Probe now differs from the blob's KeyID
// from the first step on, until the slot is wrapped anew.
func TestStaticRotatedAsDocumented(t *testing.T) {
	ctx, b := context.Background(), kms.Binding{Store: "s"}
	dir := t.TempDir()
	file := func(name, key string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file://" + filepath.ToSlash(path)
	}
	first, second := file("1", hexKey+"\n"), file("2", strings.Repeat("c", 32))
	before := static(t, `current_key_id = "20250606-1"`, fmt.Sprintf("current_key = %q", first))
	during := static(t, `current_key_id = "20260606-1"`, fmt.Sprintf("current_key = %q", second),
		`previous_key_id = "20250606-1"`, fmt.Sprintf("previous_key = %q", first))
	after := static(t, `current_key_id = "20260606-1"`, fmt.Sprintf("current_key = %q", second))
	probe := func(w kms.Wrapper) kms.Health {
		h, err := w.(kms.Prober).Probe(ctx)
		if err != nil || !h.Enabled {
			t.Fatal(h, err)
		}
		return h
	}
	names := func(h kms.Health, blob *kms.Blob) bool { return h.KeyID == blob.KeyID && h.Version == blob.Version }

	stored, err := before.Wrap(ctx, make([]byte, 32), b)
	if err != nil {
		t.Fatal(err)
	}
	if !names(probe(before), stored) {
		t.Error("before the rotation the probe names another key than the blob")
	}
	key, err := during.Unwrap(ctx, stored, b)
	if err != nil {
		t.Fatal(err)
	}
	if names(probe(during), stored) || probe(during).KeyID != "20260606-1" {
		t.Error("the probe does not say that the blob is of another key")
	}
	if _, err := after.Unwrap(ctx, stored, b); !errors.Is(err, kms.ErrWrongKey) {
		t.Error(err)
	}
	anew, err := during.Wrap(ctx, key, b)
	if err != nil {
		t.Fatal(err)
	}
	if !names(probe(during), anew) || !names(probe(after), anew) {
		t.Error("wrapped anew, the probe names another key")
	}
	if _, err := after.Unwrap(ctx, anew, b); err != nil {
		t.Error(err)
	}
}

// A key changed under its id was called a corrupt blob.
func TestStaticKeyChangedUnderItsID(t *testing.T) {
	ctx, b := context.Background(), kms.Binding{Store: "s"}
	old := static(t, `current_key_id = "1"`, `current_key = "`+strings.Repeat("a", 32)+`"`)
	changed := static(t, `current_key_id = "1"`, `current_key = "`+strings.Repeat("b", 32)+`"`)
	blob, err := old.Wrap(ctx, make([]byte, 32), b)
	if err != nil {
		t.Fatal(err)
	}
	_, err = changed.Unwrap(ctx, blob, b)
	if !errors.Is(err, kms.ErrWrongKey) || !strings.Contains(err.Error(), "put the old key back under its id, and give the new one an id of its own") {
		t.Error(err)
	}
	h, err := changed.(kms.Prober).Probe(ctx)
	if err != nil || h.KeyID != blob.KeyID || h.Version == blob.Version {
		t.Error("the probe does not tell the keys apart:", h, err)
	}
	blob.Ciphertext[20] ^= 1
	if _, err = old.Unwrap(ctx, blob, b); !errors.Is(err, kms.ErrCorrupt) {
		t.Error(err)
	}
	blob.Ciphertext[20] ^= 1
	blob.Version = "" // as an earlier version of this package wrote it
	if _, err := old.Unwrap(ctx, blob, b); err != nil {
		t.Error(err)
	}
}

// One in 22 files of 32 random bytes begins or ends with a byte that is white
// space, and was refused.
func TestStaticRawKeyFiles(t *testing.T) {
	ctx, b := context.Background(), kms.Binding{Store: "s"}
	for _, space := range []byte(" \t\n\v\f\r\x85\xa0") {
		for _, change := range []func([]byte){
			func(k []byte) { k[0] = space },
			func(k []byte) { k[31] = space },
			func(k []byte) { k[0], k[1], k[30], k[31] = space, space, space, space },
		} {
			key := bytes.Repeat([]byte{0xd7}, 32)
			change(key)
			path := filepath.Join(t.TempDir(), "key")
			w := static(t, `current_key_id = "1"`, fmt.Sprintf("current_key = \"file://%s\"", filepath.ToSlash(path)))
			write := func(content []byte) {
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(key)
			blob, err := w.Wrap(ctx, make([]byte, 32), b)
			if err != nil {
				t.Fatalf("%q: %v", key, err)
			}
			for name, content := range map[string][]byte{
				"hex": []byte(hex.EncodeToString(key)), "base64, a line": []byte(base64.StdEncoding.EncodeToString(key) + "\r\n"),
				"a line": append(bytes.Clone(key), '\n'),
			} {
				write(content)
				if _, err := w.Unwrap(ctx, blob, b); err != nil {
					t.Errorf("%q as %s: %v", key, name, err)
				}
			}
		}
	}
}

// A key file that is not there ended the server, although people could open it,
// and one that was mounted late or replaced was never read again.
func TestStaticKeyFileIsReadWhenNeeded(t *testing.T) {
	ctx, b := context.Background(), kms.Binding{Store: "s"}
	path := filepath.Join(t.TempDir(), "key")
	w := static(t, `current_key_id = "1"`, fmt.Sprintf("current_key = \"file://%s\"", filepath.ToSlash(path)),
		`previous_key_id = "0"`, `previous_key = "`+hexKey+`"`)
	for name, c := range map[string]struct {
		content string
		kind    error
		words   string
	}{
		"missing":   {"", kms.ErrKeyGone, "is its volume mounted?"},
		"no key":    {"canary-short", kms.ErrMisconfigured, "current_key: a key is 64 hex digits"},
		"large":     {strings.Repeat("canary", 1<<18), kms.ErrUnavailable, "longer than 1048576 bytes"},
		"wrong hex": {strings.Repeat("canaryXY", 8), kms.ErrMisconfigured, "64 hex digits"},
	} {
		os.Remove(path)
		if c.content != "" {
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, wrapErr := w.Wrap(ctx, make([]byte, 32), b)
		_, probeErr := w.(kms.Prober).Probe(ctx)
		_, unwrapErr := w.Unwrap(ctx, &kms.Blob{Type: "static", KeyID: "1", Ciphertext: make([]byte, 60)}, b)
		for _, err := range []error{wrapErr, probeErr, unwrapErr} {
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v, want %v and %q", name, err, c.kind, c.words)
			}
		}
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	blob, err := w.Wrap(ctx, make([]byte, 32), b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Unwrap(ctx, blob, b); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("j", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Unwrap(ctx, blob, b); !errors.Is(err, kms.ErrWrongKey) {
		t.Error("the file was not read again:", err)
	}
}

// %s of the wrapper printed the words of AES's key schedule.
func TestStaticIsSilent(t *testing.T) {
	key := make([]byte, 32)
	rand.Read(key)
	text := hex.EncodeToString(key)
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	search := secrettest.NewSearch(map[string][]byte{"the key": key, "what was written": []byte(text)})
	texts := 0
	for _, written := range []string{text, "file://" + filepath.ToSlash(path)} {
		w := static(t, `current_key_id = "1"`, fmt.Sprintf("current_key = %q", written))
		blob, err := w.Wrap(context.Background(), make([]byte, 32), kms.Binding{Store: "s"})
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []any{w, &w, struct{ held kms.Wrapper }{w}, []kms.Wrapper{w}, blob, seal.Config{KMS: map[string]kms.Wrapper{"a": w}}} {
			for sink, shown := range secrettest.Sinks(value) {
				texts++
				for what, form := range search.In(shown) {
					t.Errorf("%s of %T shows %s as %s", sink, value, what, form)
				}
			}
		}
	}
	t.Logf("GUARANTEE 20 static-seal: texts=%d shown=0", texts)
}
