package named_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

// The vectors of RFC 5649, section 6.
func TestKWPVectors(t *testing.T) {
	unhex := func(s string) []byte { return must(hex.DecodeString(s))(t) }
	kek := unhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
	for name, tc := range map[string]struct{ key, wrapped string }{
		"20 bytes": {"c37b7e6492584340bed12207808941155068f738", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
		"7 bytes":  {"466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"},
	} {
		if got, err := named.KWPWrap(kek, unhex(tc.key)); hex.EncodeToString(got) != tc.wrapped {
			t.Errorf("%s: wrapped %x, %v", name, got, err)
		}
		if got, err := named.KWPUnwrap(kek, unhex(tc.wrapped)); hex.EncodeToString(got) != tc.key {
			t.Errorf("%s: unwrapped %x, %v", name, got, err)
		}
	}
}

// The vectors of RFC 3394, section 4: the rounds alone, over its own initial value.
func TestKWVectors(t *testing.T) {
	unhex := func(s string) []byte { return must(hex.DecodeString(s))(t) }
	kek := "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	data := "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f"
	for name, tc := range map[string]struct{ kek, data, wrapped string }{
		"128 under 128": {kek[:32], data[:32], "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		"128 under 192": {kek[:48], data[:32], "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"},
		"128 under 256": {kek, data[:32], "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"},
		"192 under 192": {kek[:48], data[:48], "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"},
		"192 under 256": {kek, data[:48], "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"},
		"256 under 256": {kek, data, "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"},
	} {
		in := append(unhex("a6a6a6a6a6a6a6a6"), unhex(tc.data)...)
		out := named.KWRounds(unhex(tc.kek), in, true)
		if hex.EncodeToString(out) != tc.wrapped {
			t.Errorf("%s: %x", name, out)
		}
		if back := named.KWRounds(unhex(tc.kek), out, false); !bytes.Equal(back, in) {
			t.Errorf("%s: unwrapped %x", name, back)
		}
	}
}

// Every length comes back, and nothing that was changed does.
func TestKWP(t *testing.T) {
	kek := bytes.Repeat([]byte{7}, 32)
	for n := 1; n <= 70; n++ {
		key := bytes.Repeat([]byte{byte(n)}, n)
		wrapped := must(named.KWPWrap(kek, key))(t)
		if got, err := named.KWPUnwrap(kek, wrapped); !bytes.Equal(got, key) || err != nil {
			t.Fatalf("%d bytes: %x, %v", n, got, err)
		}
		for i := range wrapped {
			bad := bytes.Clone(wrapped)
			bad[i] ^= 1
			_, err := named.KWPUnwrap(kek, bad)
			wantError(t, err, named.ErrCorrupt, "does not unwrap")
		}
	}
	for _, n := range []int{0, 8, 15, 17, 23, 16 << 10 * 2} {
		_, err := named.KWPUnwrap(kek, make([]byte, n))
		wantError(t, err, named.ErrInput, "16 bytes or more")
	}
	// Padding that is not zero, and a length that does not fit, are refused even
	// under the right key.
	for name, plain := range map[string]string{
		"padding": "a65959a600000001ab00000000000001", "length 0": "a65959a6000000000000000000000000",
		"length 9": "a65959a6000000090000000000000000", "length -1": "a65959a6ffffffff0000000000000000",
	} {
		wrapped := named.AESBlock(kek, must(hex.DecodeString(plain))(t))
		if _, err := named.KWPUnwrap(kek, wrapped); err == nil {
			t.Errorf("%s: unwrapped", name)
		}
	}
}
