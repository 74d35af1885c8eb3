package keyring

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/secret"
)

// A Key is the secret of a term: 32 random bytes. It prints and logs as
// "(redacted)", and no encoder encodes it. That does not hold where fmt asks no
// methods: for the verb %p, and inside another type's unexported field. A Key
// is for the way into [Owner.Install], not for keeping.
type Key [32]byte

var errEncodeKey = errors.New("keyring: a key is not encoded implicitly")

// Format writes "(redacted)" for every verb.
func (Key) Format(f fmt.State, _ rune) { io.WriteString(f, "(redacted)") }

// LogValue returns "(redacted)".
func (Key) LogValue() slog.Value { return slog.StringValue("(redacted)") }

// MarshalJSON returns an error.
func (Key) MarshalJSON() ([]byte, error) { return nil, errEncodeKey }

// MarshalText returns an error; encoding/xml asks it too.
func (Key) MarshalText() ([]byte, error) { return nil, errEncodeKey }

// GobEncode returns an error.
func (Key) GobEncode() ([]byte, error) { return nil, errEncodeKey }

// A Term is one data key on its way into a keyring. See [Owner.Install].
type Term struct {
	Number  uint32    // 1, 2, 3 …: higher is younger; never used for two keys
	Key     Key       // random
	Active  bool      // whether it encrypts; the others only decrypt
	Created time.Time // for people; zero if it is not known
}

// An Info describes a term of a keyring, without its key.
type Info struct {
	Number  uint32
	KeyID   [4]byte // derived from store, number and key; it is in each ciphertext
	Active  bool
	Created time.Time
}

// termKey is a term in use, one for as long as it is installed. Its key is
// wiped when nobody can reach it any more; nothing else changes.
type termKey struct {
	store   string
	number  uint32
	keyID   [keyIDSize]byte
	created time.Time
	key     []byte // in locked memory
	spent   *spent
}

// spent is what this process has encrypted under a term. It outlives the key,
// since sealing and unsealing makes no key younger.
type spent struct {
	keyID  [keyIDSize]byte
	epochs int // guarded by Keyring.mu
}

func newTermKey(store string, t *Term) *termKey {
	k := &termKey{store: store, number: t.Number, created: t.Created, key: secret.Keep(t.Key[:])}
	copy(k.keyID[:], k.derive(nil, labelKeyID, "", keyIDSize))
	return k
}

func (t *termKey) derive(salt []byte, label, more string, n int) []byte {
	return aead.Derive(t.key, salt, info(label, t.store, t.number, more), n)
}

// seal returns the cipher and the header of a new message epoch or stream.
func (t *termKey) seal(version byte, label, more string) (*aead.AEAD, header) {
	var salt [saltSize]byte
	rand.Read(salt[:])
	okm := t.derive(salt[:], label, more, aead.KeySize+commitmentSize)
	defer clear(okm)
	return cipherOf(okm), makeHeader(version, t, salt[:], okm[aead.KeySize:])
}

// open returns the cipher that a header of the term names, or [ErrCorrupt] if
// the header commits to another. That much is known before the key is expanded,
// so a forged header costs the derivation alone.
func (t *termKey) open(h *header, label, more string) (*aead.AEAD, error) {
	okm := t.derive(h.salt(), label, more, aead.KeySize+commitmentSize)
	defer clear(okm)
	if subtle.ConstantTimeCompare(okm[aead.KeySize:], h.commitment()) != 1 {
		return nil, ErrCorrupt
	}
	return cipherOf(okm), nil
}

func cipherOf(okm []byte) *aead.AEAD {
	a, err := aead.New(okm[:aead.KeySize])
	if err != nil {
		// Only a build without AES-GCM gets here, and none exists.
		panic("keyring: " + err.Error())
	}
	return a
}

func (t *termKey) wipe() {
	secret.Free(t.key)
	t.key = nil
}
