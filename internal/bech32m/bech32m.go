// Package bech32m writes bytes as text that people copy, and reads it back:
// a prefix, the separator 1, 32 easily told apart characters, and a checksum
// of six that finds any four wrong characters in a text of up to 90. The format
// is Bech32m of BIP-350, with the rules and limits of BIP-173.
//
// Decode never corrects: a correction may turn a text with five mistakes into
// another valid one. The data may be secret, so that no branch or memory
// address depends on a valid character: those are found by scanning the whole
// alphabet. Only the place of an invalid character shows.
package bech32m

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxLen is the length in characters of the longest text (BIP-173).
const MaxLen = 90

const (
	alphabet    = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	separator   = "1"
	checksumLen = 6
	constant    = 0x2bc830a3 // BIP-350; Bech32 has 1
)

var (
	// ErrLength is returned for a text longer than [MaxLen], or too short to
	// hold a checksum.
	ErrLength = errors.New("bech32m: wrong length")

	// ErrPrefix is returned where the prefix or its separator is missing or,
	// by Encode, has characters that may not stand in it.
	ErrPrefix = errors.New("bech32m: wrong prefix")

	// ErrCharacter is returned for a character outside the alphabet.
	ErrCharacter = errors.New("bech32m: character outside the alphabet")

	// ErrCase is returned for a text with both upper and lower case.
	ErrCase = errors.New("bech32m: upper and lower case mixed")

	// ErrChecksum is returned where all characters are valid and yet something
	// is mistyped.
	ErrChecksum = errors.New("bech32m: checksum does not match")

	// ErrPadding is returned where the data is no whole number of bytes.
	ErrPadding = errors.New("bech32m: data is not a whole number of bytes")
)

// A CharacterError is an [ErrCharacter] that says where. It does not say which
// character stands there, as that may be most of a right one.
type CharacterError struct {
	Position int // of the first bad character, counted in bytes from 1
}

// Error names the position.
func (e *CharacterError) Error() string {
	return fmt.Sprintf("%v at position %d", ErrCharacter, e.Position)
}

// Unwrap returns [ErrCharacter].
func (e *CharacterError) Unwrap() error { return ErrCharacter }

// Encode returns data as text in lower case behind the prefix, which is of
// printable ASCII without upper case and not empty. It fails with [ErrPrefix],
// or with [ErrLength] where the text would exceed [MaxLen].
func Encode(prefix string, data []byte) (string, error) {
	if prefix == "" || strings.ContainsFunc(prefix, func(r rune) bool { return r < 33 || r > 126 || 'A' <= r && r <= 'Z' }) {
		return "", ErrPrefix
	}
	if len(prefix)+len(separator)+(len(data)*8+4)/5+checksumLen > MaxLen {
		return "", ErrLength
	}
	symbols := appendSymbols(make([]byte, 0, MaxLen), data)
	sum := checksum(prefix, append(symbols, make([]byte, checksumLen)...)) ^ constant
	for i := range checksumLen {
		symbols = append(symbols, byte(sum>>(5*(checksumLen-1-i)))&31)
	}
	defer clear(symbols)
	for i, v := range symbols {
		symbols[i] = character(v)
	}
	return prefix + separator + string(symbols), nil
}

// Decode returns the prefix, in lower case, and the data of text, which may be
// in upper or lower case. The caller owns data. The error is one of this
// package's, and says nothing of the data.
func Decode(text string) (prefix string, data []byte, err error) {
	prefix, symbols, err := decodeSymbols(text)
	if err != nil {
		return "", nil, err
	}
	defer clear(symbols)
	data, err = toBytes(symbols)
	if err != nil {
		return "", nil, err
	}
	return prefix, data, nil
}

// decodeSymbols returns the data as values of five bits, without the checksum.
func decodeSymbols(text string) (prefix string, symbols []byte, err error) {
	if len(text) > MaxLen {
		return "", nil, ErrLength
	}
	folded := make([]byte, len(text))
	defer clear(folded)
	var upper, lower int
	for i := range len(text) {
		c := text[i]
		if c < 33 || c > 126 {
			return "", nil, &CharacterError{i + 1}
		}
		isUpper := between(c, 'A', 'Z')
		upper |= isUpper
		lower |= between(c, 'a', 'z')
		folded[i] = c | byte(isUpper<<5)
	}
	if upper&lower == 1 {
		return "", nil, ErrCase
	}
	sep := strings.LastIndex(text, separator)
	if sep < 1 {
		return "", nil, ErrPrefix
	}
	prefix, symbols = string(folded[:sep]), folded[sep+1:]
	if len(symbols) < checksumLen {
		return "", nil, ErrLength
	}
	for i, c := range symbols {
		v, ok := value(c)
		if ok == 0 {
			return "", nil, &CharacterError{sep + len(separator) + i + 1}
		}
		symbols[i] = v
	}
	if checksum(prefix, symbols) != constant {
		return "", nil, ErrChecksum
	}
	return prefix, slices.Clone(symbols[:len(symbols)-checksumLen]), nil
}

// checksum is the remainder of the BCH code of BIP-173 over the prefix and the
// symbols.
func checksum(prefix string, symbols []byte) uint32 {
	sum := uint32(1)
	add := func(v byte) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			sum ^= -(top >> i & 1) & g
		}
	}
	for i := range len(prefix) {
		add(prefix[i] >> 5)
	}
	add(0)
	for i := range len(prefix) {
		add(prefix[i] & 31)
	}
	for _, v := range symbols {
		add(v)
	}
	return sum
}

// appendSymbols appends data in groups of five bits, the last one filled up
// with zeros.
func appendSymbols(symbols, data []byte) []byte {
	var acc uint32
	var bits int
	for _, b := range data {
		acc = acc<<8 | uint32(b)
		for bits += 8; bits >= 5; {
			bits -= 5
			symbols = append(symbols, byte(acc>>bits)&31)
		}
	}
	if bits > 0 {
		symbols = append(symbols, byte(acc<<(5-bits))&31)
	}
	return symbols
}

// toBytes is the reverse of appendSymbols. The bits left over are fewer than
// five and all zero, so that there is one text for each data.
func toBytes(symbols []byte) ([]byte, error) {
	data := make([]byte, 0, len(symbols)*5/8)
	var acc uint32
	var bits int
	for _, v := range symbols {
		acc = acc<<5 | uint32(v)
		if bits += 5; bits >= 8 {
			bits -= 8
			data = append(data, byte(acc>>bits))
		}
	}
	if bits >= 5 || acc&(1<<bits-1) != 0 {
		clear(data)
		return nil, ErrPadding
	}
	return data, nil
}

// character returns alphabet[v] without using v as an address.
func character(v byte) byte {
	var c byte
	for i := range len(alphabet) {
		c |= alphabet[i] & byte(-subtle.ConstantTimeByteEq(v, byte(i)))
	}
	return c
}

// value returns the index of c in the alphabet, and 1 if it stands there.
func value(c byte) (v byte, ok int) {
	for i := range len(alphabet) {
		eq := subtle.ConstantTimeByteEq(c, alphabet[i])
		v |= byte(i) & byte(-eq)
		ok |= eq
	}
	return v, ok
}

// between returns 1 if first <= c <= last, and 0 otherwise.
func between(c, first, last byte) int {
	return subtle.ConstantTimeLessOrEq(int(first), int(c)) & subtle.ConstantTimeLessOrEq(int(c), int(last))
}
