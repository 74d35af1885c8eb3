package keyring_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/keyring"
)

// fields are the parts of a message of 9 bytes.
var fields = []struct {
	name   string
	lo, hi int
}{
	{"version", 0, 1}, {"term", 1, 5}, {"key id", 5, 9}, {"salt", 9, 25}, {"commitment", 25, 41},
	{"nonce", 41, 53}, {"ciphertext", 53, 62}, {"tag", 62, 78},
	{"header", 0, 41}, {"key", 5, 41}, {"body", 41, 78}, {"place", 0, 9},
}

// TestBinding puts every part of every message into every other one, flips
// every bit, and opens each message in every place.
func TestBinding(t *testing.T) {
	at := func(store string, ts []keyring.Term) *keyring.Keyring {
		o := keyring.New()
		if err := o.Install(store, ts); err != nil {
			t.Fatal(err)
		}
		return o.Keyring()
	}
	forkTerms := terms(2, 2)
	forkTerms[1].Key = testKey(99)
	rings := map[string]*keyring.Keyring{
		"store":       at(store, terms(2, 2)),
		"same":        at(store, terms(2, 2)), // another process: another epoch
		"term 1":      at(store, terms(1, 2)),
		"other store": at("another store", terms(2, 2)),
		"fork":        at(store, forkTerms),
		// The key of term 2 under the number 1, and the other way about.
		"swapped": at(store, []keyring.Term{{Number: 1, Key: testKey(2)}, {Number: 2, Key: testKey(1), Active: true}}),
	}
	type message struct {
		ring, aad  string
		ciphertext []byte
	}
	var messages []message
	for name, k := range rings {
		for _, aad := range []string{"", "row 1", "row 2"} {
			messages = append(messages, message{name, aad, encrypt(t, k, "plaintext", aad)})
		}
	}
	// one store's keyrings of one history read one another, fork and other
	// stores excepted
	opens := func(writer, reader string) bool {
		plain := map[string]bool{"store": true, "same": true, "term 1": true}
		return writer == reader || plain[writer] && plain[reader] || writer == "term 1" && reader == "fork"
	}

	places, accepted := 0, 0
	for _, m := range messages {
		for name, k := range rings {
			for _, aad := range []string{"", "row 1", "row 2"} {
				_, err := k.Decrypt(nil, m.ciphertext, []byte(aad))
				if want := aad == m.aad && opens(m.ring, name); (err == nil) != want {
					t.Errorf("message of %q for %q in %q for %q: %v", m.ring, m.aad, name, aad, err)
				}
				places++
			}
		}
	}

	swaps := 0
	for _, a := range messages {
		for _, b := range messages {
			for _, f := range fields {
				mixed := bytes.Clone(a.ciphertext)
				copy(mixed[f.lo:f.hi], b.ciphertext[f.lo:f.hi])
				if bytes.Equal(mixed, a.ciphertext) || bytes.Equal(mixed, b.ciphertext) {
					continue
				}
				for _, k := range rings {
					for _, aad := range []string{a.aad, b.aad} {
						swaps++
						if _, err := k.Decrypt(nil, mixed, []byte(aad)); err == nil {
							t.Errorf("%s of %q, %q in %q, %q was accepted", f.name, b.ring, b.aad, a.ring, a.aad)
							accepted++
						}
					}
				}
			}
		}
	}

	bits := 0
	for _, m := range messages[:3] {
		k := rings[m.ring]
		for i := range len(m.ciphertext) * 8 {
			flipped := bytes.Clone(m.ciphertext)
			flipped[i/8] ^= 1 << (i % 8)
			_, err := k.Decrypt(nil, flipped, []byte(m.aad))
			bits++
			want := keyring.ErrCorrupt
			switch at := i / 8; {
			case at < 1:
				want = keyring.ErrFormat
			case at < 5:
				want = keyring.ErrUnknownTerm // or, where it is another term of the ring:
				if errors.Is(err, keyring.ErrWrongKey) {
					want = keyring.ErrWrongKey
				}
			case at < 9:
				want = keyring.ErrWrongKey
			}
			if !errors.Is(err, want) {
				t.Errorf("bit %d flipped: %v, want %v", i, err, want)
				accepted++
			}
		}
		for size := range m.ciphertext {
			bits++
			if _, err := k.Decrypt(nil, m.ciphertext[:size], []byte(m.aad)); !errors.Is(err, keyring.ErrCorrupt) {
				t.Errorf("cut to %d bytes: %v", size, err)
				accepted++
			}
		}
	}
	t.Logf("GUARANTEE 14 keyring-binding: places=%d swaps=%d flips-and-cuts=%d accepted=%d", places, swaps, bits, accepted)
}

// TestTwoKeys makes messages that AES-GCM opens under two keys, and shows that
// no keyring but the one whose header they have takes them.
func TestTwoKeys(t *testing.T) {
	const attacks = 50
	gcmOpened, accepted := 0, 0
	for i := range attacks {
		keys := [2]keyring.Key{testKey(1), testKey(uint32(i + 2))}
		salt, nonce := bytes.Repeat([]byte{byte(i)}, 16), bytes.Repeat([]byte{byte(i + 1)}, 12)
		var heads, aesKeys [2][]byte
		var rings [2]*keyring.Keyring
		for j := range keys {
			heads[j], aesKeys[j] = refHeader(t, 1, keys[j], store, 1, salt, "message", "")
			o := newOwner(t, []keyring.Term{{Number: 1, Key: keys[j], Active: true}})
			rings[j] = o.Keyring()
		}
		body := twoKeyBody(t, aesKeys, nonce)
		for j := range keys { // the planted fault: GCM alone takes it under both
			if _, err := openGCM(t, aesKeys[j], body); err == nil {
				gcmOpened++
			}
		}
		for _, id := range heads {
			for _, commitment := range heads {
				message := append(append(bytes.Clone(id[:9]), salt...), commitment[25:]...)
				message = append(message, body...)
				opened := 0
				for j, k := range rings {
					_, err := k.Decrypt(nil, message, nil)
					switch {
					case err == nil:
						opened++
						if !bytes.Equal(message[:41], heads[j]) {
							t.Errorf("attack %d: opened under a header that is not the key's", i)
						}
					case !bytes.Equal(id[:9], heads[j][:9]):
						wantError(t, err, keyring.ErrWrongKey, "")
					default:
						wantError(t, err, keyring.ErrCorrupt, "")
					}
				}
				if opened > 1 {
					accepted++
				}
			}
		}
	}
	if gcmOpened != 2*attacks {
		t.Errorf("GCM opened %d of %d: the attack is not one", gcmOpened, 2*attacks)
	}
	if accepted != 0 {
		t.Errorf("%d messages opened under two keys", accepted)
	}
	t.Logf("GUARANTEE 15 keyring-committing: attacks=%d gcm-opened-under-both=%d accepted-under-both=%d", 4*attacks, gcmOpened/2, accepted)
}

func openGCM(t *testing.T, key, body []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Skip(err)
	}
	return gcm.Open(nil, nil, body, nil)
}

// twoKeyBody returns a nonce, one block and a tag that are valid under both
// keys. With H the hash key, S the encrypted counter block and L the block of
// lengths, the tag is c·H² + L·H + S; equal tags are one linear equation in c.
func twoKeyBody(t *testing.T, keys [2][]byte, nonce []byte) []byte {
	var h, h2, s [2]element
	for i, key := range keys {
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		var zero, out [16]byte
		block.Encrypt(out[:], zero[:])
		h[i] = load(out[:])
		h2[i] = h[i].mul(h[i])
		block.Encrypt(out[:], append(bytes.Clone(nonce), 0, 0, 0, 1))
		s[i] = load(out[:])
	}
	lengths := element{0, 128}
	c := lengths.mul(h[0].add(h[1])).add(s[0]).add(s[1]).mul(h2[0].add(h2[1]).inverse())
	tag := c.mul(h2[0]).add(lengths.mul(h[0])).add(s[0])
	return append(append(bytes.Clone(nonce), c.bytes()...), tag.bytes()...)
}

// An element of GCM's field: SP 800-38D section 6.3, the first bit the highest
// of the first word.
type element struct{ hi, lo uint64 }

func load(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (e element) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, e.hi), e.lo)
}

func (e element) add(f element) element { return element{e.hi ^ f.hi, e.lo ^ f.lo} }

func (e element) mul(f element) (z element) {
	for i := range 128 {
		bit := e.hi >> (63 - i%64)
		if i >= 64 {
			bit = e.lo >> (63 - i%64)
		}
		if bit&1 == 1 {
			z = z.add(f)
		}
		carry := f.lo & 1
		f.lo = f.lo>>1 | f.hi<<63
		f.hi = f.hi>>1 ^ carry*0xe1<<56
	}
	return z
}

// inverse returns e to the power 2^128 - 2.
func (e element) inverse() element {
	z, square := element{1 << 63, 0}, e
	for range 127 {
		square = square.mul(square)
		z = z.mul(square)
	}
	return z
}
