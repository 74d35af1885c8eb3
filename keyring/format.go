package keyring

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/sealwright/sealwright/internal/aead"
)

// Overhead is the number of bytes by which a ciphertext is longer than its
// plaintext.
const Overhead = headerSize + aead.Overhead

// FORMAT.md describes the bytes, and why they are as they are.
const (
	versionMessage = 1
	versionStream  = 2

	keyIDSize      = 4
	saltSize       = 16
	commitmentSize = 16

	// version ‖ term ‖ key id ‖ salt ‖ commitment
	headerSize = 1 + 4 + keyIDSize + saltSize + commitmentSize

	// bodyAt is where the encrypted bytes begin, behind header and nonce.
	bodyAt = Overhead - 16
)

// A header is what a ciphertext begins with: the same for every message of an
// epoch.
type header [headerSize]byte

func makeHeader(version byte, t *termKey, salt, commitment []byte) (h header) {
	h[0] = version
	binary.BigEndian.PutUint32(h[1:], t.number)
	copy(h[5:], t.keyID[:])
	copy(h[9:], salt)
	copy(h[25:], commitment)
	return h
}

func (h *header) term() uint32 { return binary.BigEndian.Uint32(h[1:]) }

func (h *header) keyID() [keyIDSize]byte { return [keyIDSize]byte(h[5:]) }

func (h *header) salt() []byte { return h[9:25] }

func (h *header) commitment() []byte { return h[25:] }

// split returns the header of a message and what follows it, or [ErrFormat] or
// [ErrCorrupt].
func split(ciphertext []byte) (*header, []byte, error) {
	if len(ciphertext) > 0 && ciphertext[0] != versionMessage {
		return nil, nil, ErrFormat
	}
	if len(ciphertext) < Overhead {
		return nil, nil, ErrCorrupt
	}
	return (*header)(ciphertext), ciphertext[headerSize:], nil
}

// TermOf returns the number of the term that a ciphertext, or the beginning of
// a stream, says it is encrypted under. It authenticates nothing. The error is
// [ErrFormat] or [ErrCorrupt].
func TermOf(ciphertext []byte) (uint32, error) {
	if len(ciphertext) > 0 && ciphertext[0] != versionMessage && ciphertext[0] != versionStream {
		return 0, &Error{Op: "read the term", Err: ErrFormat}
	}
	if len(ciphertext) < headerSize {
		return 0, &Error{Op: "read the term", Err: ErrCorrupt}
	}
	return (*header)(ciphertext).term(), nil
}

// AAD joins parts to associated data that no other list of parts gives: each
// stands behind its length. Use it to bind a ciphertext to its place:
//
//	keyring.AAD("users", "token", userID)
//
// It returns nil for no parts.
func AAD(parts ...string) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.BigEndian.AppendUint64(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}

// What a term's key is used for: a label each, in the info of HKDF.
const (
	labelKeyID   = "key id"
	labelMessage = "message"
	labelStream  = "stream"
	labelDerive  = "derive"
)

// info returns the info of HKDF: label, store and term, each of which ends
// where it must, and then whatever is more.
func info(label, store string, term uint32, more string) string {
	b := append([]byte("sealwright/keyring/v1/"+label), 0, byte(len(store)))
	b = append(b, store...)
	b = binary.BigEndian.AppendUint32(b, term)
	return string(append(b, more...))
}

// streamInfo is the third part of a stream's info: its associated data are
// bound once, not in every chunk.
func streamInfo(aad []byte) string {
	sum := sha256.Sum256(aad)
	return string(sum[:])
}
