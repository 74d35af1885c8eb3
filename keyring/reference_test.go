package keyring_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"testing"

	"github.com/sealwright/sealwright/keyring"
)

// What follows is FORMAT.md once more, from the standard library alone. It
// takes the salt and the nonce as arguments, so that a vector can be made
// again byte by byte.

func refHKDF(t testing.TB, key keyring.Key, salt []byte, label, store string, term uint32, more string, n int) []byte {
	t.Helper()
	info := "sealwright/keyring/v1/" + label + "\x00" + string([]byte{byte(len(store))}) + store +
		string(binary.BigEndian.AppendUint32(nil, term)) + more
	out, err := hkdf.Key(sha256.New, key[:], salt, info, n)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func refKeyID(t testing.TB, key keyring.Key, store string, term uint32) []byte {
	return refHKDF(t, key, nil, "key id", store, term, "", 4)
}

// refHeader returns a header, and the cipher's key.
func refHeader(t testing.TB, version byte, key keyring.Key, store string, term uint32, salt []byte, label, more string) (header, aesKey []byte) {
	okm := refHKDF(t, key, salt, label, store, term, more, 48)
	header = binary.BigEndian.AppendUint32([]byte{version}, term)
	header = append(header, refKeyID(t, key, store, term)...)
	return append(append(header, salt...), okm[32:]...), okm[:32]
}

func refSeal(t testing.TB, aesKey, nonce, plaintext, aad []byte) []byte {
	block, err := aes.NewCipher(aesKey)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Skip("this process lets nobody choose a nonce:", err)
	}
	return gcm.Seal(bytes.Clone(nonce), nonce, plaintext, aad)
}

func refMessage(t testing.TB, key keyring.Key, store string, term uint32, salt, nonce, plaintext, aad []byte) []byte {
	header, aesKey := refHeader(t, 1, key, store, term, salt, "message", "")
	return append(header, refSeal(t, aesKey, nonce, plaintext, aad)...)
}

func refText(message []byte) string {
	return "sw1." + base64.RawURLEncoding.EncodeToString(message)
}

// refStream takes as many nonces as there are chunks.
func refStream(t testing.TB, key keyring.Key, store string, term uint32, salt []byte, nonces [][]byte, plaintext, aad []byte) []byte {
	sum := sha256.Sum256(aad)
	out, aesKey := refHeader(t, 2, key, store, term, salt, "stream", string(sum[:]))
	for i, nonce := range nonces {
		chunk := plaintext[i*65536:]
		last := byte(1)
		if i < len(nonces)-1 {
			chunk, last = chunk[:65536], 0
		}
		chunkAAD := append(binary.BigEndian.AppendUint64(nil, uint64(i)), last)
		out = append(out, refSeal(t, aesKey, nonce, chunk, chunkAAD)...)
	}
	return out
}

func TestAgainstReference(t *testing.T) {
	k := newOwner(t, terms(7, 7)).Keyring()
	salt, nonce := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 12)
	wantDecrypt(t, k, refMessage(t, testKey(7), store, 7, salt, nonce, []byte("plaintext"), []byte("aad")), "aad", "plaintext")

	ciphertext := encrypt(t, k, "plaintext", "aad")
	again := refMessage(t, testKey(7), store, 7, ciphertext[9:25], ciphertext[41:53], []byte("plaintext"), []byte("aad"))
	if !bytes.Equal(ciphertext, again) {
		t.Errorf("Encrypt wrote\n%x, the reference\n%x", ciphertext, again)
	}
	derived, err := k.Derive(3, "purpose", 40)
	if err != nil || !bytes.Equal(derived, refHKDF(t, testKey(3), nil, "derive", store, 3, "purpose", 40)) {
		t.Errorf("Derive = %x, %v", derived, err)
	}

	for _, size := range []int{0, 1, 65535, 65536, 65537, 200000} {
		plaintext := bytes.Repeat([]byte("s"), size)
		var stream bytes.Buffer
		w, err := k.NewWriter(&stream, []byte("aad"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plaintext); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again := refStream(t, testKey(7), store, 7, stream.Bytes()[9:25], nonces(stream.Bytes()), plaintext, []byte("aad"))
		if !bytes.Equal(stream.Bytes(), again) {
			t.Errorf("a stream of %d bytes differs from the reference", size)
		}
	}
}
