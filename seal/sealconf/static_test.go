package sealconf_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
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
	if !errors.Is(err, kms.ErrWrongKey) || !strings.Contains(err.Error(), "no key of that id") {
		t.Error(err)
	}
}
