package azurekeyvaulttest

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"testing"
)

// TestKeyWrap uses the vectors of RFC 3394, sections 4.3, 4.5 and 4.6.
func TestKeyWrap(t *testing.T) {
	const kek = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	for key, want := range map[string]string{
		"00112233445566778899aabbccddeeff":                                 "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7",
		"00112233445566778899aabbccddeeff0001020304050607":                 "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1",
		"00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f": "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
	} {
		block, err := aes.NewCipher(unhex(t, kek))
		if err != nil {
			t.Fatal(err)
		}
		wrapped := keyWrap(block, unhex(t, key))
		if got := hex.EncodeToString(wrapped); got != want {
			t.Errorf("%s is wrapped as %s, want %s", key, got, want)
		}
		if got, err := keyUnwrap(block, wrapped); err != nil || !bytes.Equal(got, unhex(t, key)) {
			t.Errorf("%s is unwrapped as %x, %v", want, got, err)
		}
		for i := range wrapped {
			wrapped[i] ^= 1
			if _, err := keyUnwrap(block, wrapped); err == nil {
				t.Errorf("%s is unwrapped with byte %d flipped", want, i)
			}
			wrapped[i] ^= 1
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
