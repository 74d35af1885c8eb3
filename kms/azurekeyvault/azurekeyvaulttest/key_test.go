package azurekeyvaulttest

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
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

// TestRemembered: what an RSA key is known to hold is what it does hold, also where
// others have encrypted it, and nothing else is.
func TestRemembered(t *testing.T) {
	k, v := &key{bits: 2048}, &version{}
	ask := func(compute func(*version, operation) (operation, error), value []byte) ([]byte, error) {
		out, err := compute(v, operation{Algorithm: "RSA-OAEP-256", Value: value})
		return out.Value, err
	}
	ours, err := ask(k.wrap, []byte("ours"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &v.rsa.PublicKey, []byte("theirs"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, forgetful := range []bool{false, true} { // computed, from then on known
		if forgetful {
			v.known = nil
		}
		for range 2 {
			for want, ciphertext := range map[string][]byte{"ours": ours, "theirs": theirs} {
				got, err := ask(k.unwrap, ciphertext)
				if err != nil || string(got) != want {
					t.Errorf("%s: %q, %v", want, got, err)
				}
				clear(got) // which is the caller's
				ciphertext[9] ^= 1
				if got, err := ask(k.unwrap, ciphertext); err == nil {
					t.Errorf("%s, flipped: %q", want, got)
				}
				ciphertext[9] ^= 1
			}
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
