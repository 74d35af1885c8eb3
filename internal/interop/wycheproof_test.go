package interop_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
)

// The vectors are in a module without packages, which no go.mod can require.
const (
	wycheproof    = "github.com/google/wycheproof@v0.0.0-20191219022705-2196000605e4"
	wycheproofSum = "h1:/jhsqtCSTRK25HsqYePIHeLbPIDBwVOANhQmWRdgsyA="
)

// A vector is one test of Wycheproof's, of AES-GCM or of HKDF.
type vector struct {
	ID                int `json:"tcId"`
	Comment, Result   string
	Key, IV, AAD, Msg hexBytes
	CT, Tag           hexBytes
	IKM, Salt, Info   hexBytes
	Size              int
	OKM               hexBytes
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vectors returns the tests in a file. The module is verified by its sum;
// where it can be had from nowhere, the test is skipped.
func vectors(t *testing.T, file string) []vector {
	t.Helper()
	download := exec.Command("go", "mod", "download", "-json", wycheproof)
	download.Dir = t.TempDir()
	download.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := download.Output()
	if err != nil {
		t.Skipf("no vectors: %v\n%s", err, out)
	}
	var module struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	if module.Sum != wycheproofSum {
		t.Fatalf("the vectors have the sum %s, not %s", module.Sum, wycheproofSum)
	}
	data, err := os.ReadFile(filepath.Join(module.Dir, "testvectors", file))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		NumberOfTests int
		TestGroups    []struct{ Tests []vector }
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var vs []vector
	for _, group := range all.TestGroups {
		vs = append(vs, group.Tests...)
	}
	if len(vs) == 0 || len(vs) != all.NumberOfTests {
		t.Fatalf("%s has %d vectors, and says %d", file, len(vs), all.NumberOfTests)
	}
	return vs
}

// TestWycheproofGCM opens every vector with a key of 256 bits and a nonce of 96,
// which is all that package aead can be given.
func TestWycheproofGCM(t *testing.T) {
	opened, refused, wrong, other := 0, 0, 0, 0
	for _, v := range vectors(t, "aes_gcm_test.json") {
		a, err := aead.New(v.Key)
		if len(v.Key) != aead.KeySize {
			if !errors.Is(err, aead.ErrKeySize) {
				t.Errorf("%d: a key of %d bytes: %v", v.ID, len(v.Key), err)
			}
			other++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(v.IV) != 12 {
			other++ // no nonce of another length is ever written
			continue
		}
		sealed := append(append(append([]byte{}, v.IV...), v.CT...), v.Tag...)
		got, err := a.Open(nil, sealed, v.AAD)
		switch {
		case v.Result == "valid" && err == nil && bytes.Equal(got, v.Msg):
			opened++
		case v.Result == "invalid" && errors.Is(err, aead.ErrCorrupt):
			refused++
		default:
			wrong++
			t.Errorf("%d (%s) is %s: %v", v.ID, v.Comment, v.Result, err)
		}
	}
	if opened == 0 || refused == 0 {
		t.Errorf("%d opened, %d refused", opened, refused)
	}
	t.Logf("GUARANTEE 15 wycheproof-gcm: opened=%d refused=%d not-representable=%d wrong=%d", opened, refused, other, wrong)
}

// TestWycheproofHKDF derives what every vector says. What is over the limits of
// RFC 5869, or of aead.Derive's salt, panics.
func TestWycheproofHKDF(t *testing.T) {
	right, refused, wrong := 0, 0, 0
	for _, v := range vectors(t, "hkdf_sha256_test.json") {
		okm, panicked := derive(v)
		switch tooMuch := v.Result == "invalid" || len(v.Salt) > 64; {
		case tooMuch && panicked:
			refused++
		case !tooMuch && !panicked && bytes.Equal(okm, v.OKM):
			right++
		default:
			wrong++
			t.Errorf("%d (%s) is %s: %x, panicked %v", v.ID, v.Comment, v.Result, okm, panicked)
		}
	}
	if right == 0 || refused == 0 {
		t.Errorf("%d right, %d refused", right, refused)
	}
	t.Logf("GUARANTEE 15 wycheproof-hkdf: right=%d refused=%d wrong=%d", right, refused, wrong)
}

func derive(v vector) (okm []byte, panicked bool) {
	defer func() { panicked = recover() != nil }()
	return aead.Derive(v.IKM, v.Salt, string(v.Info), v.Size), false
}
