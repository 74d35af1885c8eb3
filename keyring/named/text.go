package named

import (
	"bytes"
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
		return 0, "", because(ErrText, "the %s has no prefix: want vault:v1:… or another version", what)
	}
	digits, rest, ok := strings.Cut(rest, ":")
	if !ok {
		return 0, "", because(ErrText, "the %s has no version: want vault:v1:… or another", what)
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return 0, "", because(ErrText, "the version of the %s is no number", what)
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
		return 0, nil, because(ErrText, "the %s is not in base64", what)
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

// A form is what a ciphertext is written as.
type form bool

const (
	asText   form = false
	asBinary form = true
)

// binaryHead is how many bytes a binary ciphertext begins with: the version.
const binaryHead = 4

// room appends the head of a ciphertext of n bytes to dst, and room for the rest.
// What is encrypted is put into sealed; then [encode] does what is left to do.
func (v *version) room(dst []byte, n int, f form) (out, body, sealed []byte) {
	if f == asBinary {
		out = slices.Grow(dst, binaryHead+n)[:len(dst)+binaryHead+n]
		binary.BigEndian.PutUint32(out[len(dst):], uint32(v.n))
		return out, nil, out[len(dst)+binaryHead : len(out) : len(out)]
	}
	return textRoom(dst, v.prefix, n)
}

// textRoom is room for base64: sealed is at its end.
func textRoom(dst []byte, prefix string, n int) (out, body, sealed []byte) {
	size := len(prefix) + base64.StdEncoding.EncodedLen(n)
	out = slices.Grow(dst, size)[:len(dst)+size]
	copy(out[len(dst):], prefix)
	body = out[len(dst)+len(prefix):]
	return out, body, body[len(body)-n : len(body) : len(body)]
}

// Text returns a ciphertext that [Key.EncryptBinary] made as the one that
// [Key.Encrypt] makes. The error is [ErrInput].
func Text(ciphertext []byte) (string, error) {
	n, sealed, err := splitBinary(ciphertext)
	if err != nil {
		return "", err
	}
	return textPrefix + strconv.Itoa(n) + ":" + base64.StdEncoding.EncodeToString(sealed), nil
}

// Binary is the inverse of [Text]. The errors are [ErrInput] and [ErrLimit].
func Binary(text string) ([]byte, error) {
	n, sealed, err := decodeText("ciphertext", text, base64.StdEncoding)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, binaryHead+len(sealed)), uint32(n)), sealed...), nil
}

func splitBinary(ciphertext []byte) (version int, sealed []byte, err error) {
	if len(ciphertext) < binaryHead {
		return 0, nil, because(ErrShort, "the ciphertext is too short")
	}
	n := binary.BigEndian.Uint32(ciphertext)
	if n == 0 || n > 1<<31-1 || bytes.HasPrefix(ciphertext, []byte(textPrefix)) {
		return 0, nil, because(ErrText, "the ciphertext is of no version: is it text?")
	}
	return int(n), ciphertext[binaryHead:], nil
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

// encode puts the standard base64 of the last n bytes of body, if there is one,
// into all of it.
// It writes only over what it has read: eight characters for six bytes, while at
// least eight are left.
func encode(body []byte, n int) {
	if body == nil {
		return
	}
	src, dst := body[len(body)-n:], body
	for len(src) >= 8 {
		x := binary.BigEndian.Uint64(src)
		binary.LittleEndian.PutUint64(dst, uint64(pairs[x>>52])|uint64(pairs[x>>40&0xfff])<<16|
			uint64(pairs[x>>28&0xfff])<<32|uint64(pairs[x>>16&0xfff])<<48)
		src, dst = src[6:], dst[8:]
	}
	for len(src) >= 3 {
		a, b := pairs[uint(src[0])<<4|uint(src[1])>>4], pairs[uint(src[1])&15<<8|uint(src[2])]
		binary.LittleEndian.PutUint32(dst, uint32(a)|uint32(b)<<16)
		src, dst = src[3:], dst[4:]
	}
	switch len(src) {
	case 1:
		a := pairs[uint(src[0])<<4]
		binary.LittleEndian.PutUint32(dst, uint32(a)|'='<<16|'='<<24)
	case 2:
		a, b := pairs[uint(src[0])<<4|uint(src[1])>>4], alphabet[uint(src[1])&15<<2]
		binary.LittleEndian.PutUint32(dst, uint32(a)|uint32(b)<<16|'='<<24)
	}
}
