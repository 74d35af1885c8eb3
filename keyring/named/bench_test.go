package named_test

import (
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

// What a named key costs beside the keyring itself. The ciphertext is text, whose
// base64 costs more than the encryption of a long message does.
func BenchmarkEncrypt(b *testing.B) {
	h := open(b, nil)
	for _, kind := range []named.Type{named.AES256, named.AES128} {
		h.create(string(kind), named.Spec{Type: kind})
	}
	h.create("derived", named.Spec{Derived: true})
	for _, size := range []int{64, 1 << 10, 16 << 10} {
		plaintext, aad := make([]byte, size), []byte("customer 7")
		b.Run(fmt.Sprintf("keyring/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.ring.Encrypt(nil, plaintext, aad); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("keyring text/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			text := string(plaintext)
			for b.Loop() {
				if _, err := h.ring.EncryptString(text, aad); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, name := range []string{"aes256-gcm96", "aes128-gcm96", "derived"} {
			m := named.Message{Plaintext: plaintext, AAD: aad}
			if name == "derived" {
				m.Context = []byte("tenant 1")
			}
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					key, err := h.Key(b.Context(), name)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := key.Encrypt(m); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	h := open(b, nil)
	h.create("k", named.Spec{})
	for _, size := range []int{64, 1 << 10, 16 << 10} {
		plaintext := make([]byte, size)
		sealed := must(h.ring.Encrypt(nil, plaintext, nil))(b)
		text := must(h.key("k").Encrypt(named.Message{Plaintext: plaintext}))(b)
		b.Run(fmt.Sprintf("keyring/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.ring.Decrypt(nil, sealed, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("named/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.key("k").Decrypt(named.Ciphertext{Text: text}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
