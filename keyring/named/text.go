package named

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
)

// textPrefix stands before the version of ciphertexts, signatures and MACs, as
// in Vault.
const textPrefix = "vault:v"

// Version returns the version that a ciphertext, a signature or a MAC says it is
// of. It authenticates nothing. The error is [ErrInput].
func Version(text string) (int, error) {
	n, _, err := splitText("text", text)
	return n, err
}

// splitText returns the version of a text and what follows it.
func splitText(what, text string) (version int, rest string, err error) {
	rest, ok := strings.CutPrefix(text, textPrefix)
	if !ok {
		return 0, "", because(ErrInput, "the %s has no prefix: want vault:v1:… or another version", what)
	}
	digits, rest, ok := strings.Cut(rest, ":")
	if !ok {
		return 0, "", because(ErrInput, "the %s has no version: want vault:v1:… or another", what)
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return 0, "", because(ErrInput, "the version of the %s is no number", what)
	}
	return int(max(n, 1)), rest, nil // v0 is version 1, as the first Vault wrote it
}

// decodeText returns the version and the bytes of a text.
func decodeText(what, text string, encoding *base64.Encoding) (version int, data []byte, err error) {
	version, rest, err := splitText(what, text)
	if err != nil {
		return 0, nil, err
	}
	if len(rest) > encoding.EncodedLen(MaxMessage+MaxContext) {
		return 0, nil, because(ErrLimit, "the %s is longer than any", what)
	}
	data, err = encoding.DecodeString(rest)
	if err != nil {
		return 0, nil, because(ErrInput, "the %s is not in base64", what)
	}
	return version, data, nil
}

// lacks reports whether one of the texts names a younger version than the key has.
func (k *Key) lacks(texts []string) bool {
	latest := k.state.doc.latest()
	return slices.ContainsFunc(texts, func(text string) bool {
		n, err := Version(text)
		return err == nil && n > latest
	})
}

// room appends prefix and room for the base64 of n bytes to dst. What is to be
// encoded is put into sealed, at the end; then encode does the rest.
func room(dst []byte, prefix string, n int) (out, body, sealed []byte) {
	size := len(prefix) + base64.StdEncoding.EncodedLen(n)
	out = slices.Grow(dst, size)[:len(dst)+size]
	copy(out[len(dst):], prefix)
	body = out[len(dst)+len(prefix):]
	return out, body, body[len(body)-n : len(body) : len(body)]
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// pairs has the two characters of each twelve bits, little endian. What is
// encoded is public: a table may be.
var pairs = func() (t [4096]uint16) {
	for i := range t {
		t[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return t
}()

// encode puts the standard base64 of the last n bytes of body into all of it.
// It writes only over what it has read: eight characters for six bytes, while at
// least eight are left.
func encode(body []byte, n int) {
	src, dst := body[len(body)-n:], body
	for len(src) >= 8 {
		x := binary.BigEndian.Uint64(src)
		binary.LittleEndian.PutUint64(dst, uint64(pairs[x>>52])|uint64(pairs[x>>40&0xfff])<<16|
			uint64(pairs[x>>28&0xfff])<<32|uint64(pairs[x>>16&0xfff])<<48)
		src, dst = src[6:], dst[8:]
	}
	var last [8]byte
	copy(dst, base64.StdEncoding.AppendEncode(nil, last[:copy(last[:], src)]))
}
