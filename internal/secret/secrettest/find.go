package secrettest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// window is how many bytes of a secret in a row make a leak: few enough to
// catch a part, enough not to occur by chance.
const window = 8

// Find returns the form in which text shows any eight bytes in a row of
// secret, or "" if it shows none: as they are, in hexadecimal, in base64 of
// either alphabet at any alignment, and as a list of numbers or characters the
// way fmt prints a []byte; and as numbers of 32 or 64 bits of either byte order,
// which is how a cipher keeps its key. It panics on a secret of less than eight bytes.
func Find(text string, secret []byte) string {
	return FindAny(text, map[string][]byte{"": secret})[""]
}

// FindAny looks for many secrets in one go. It returns the form of each that
// text shows, by its name.
func FindAny(text string, secrets map[string][]byte) map[string]string {
	return NewSearch(secrets).In(text)
}

// A Search is what [FindAny] looks for, for many texts.
type Search struct{ asIs, lower, numbers needles }

// NewSearch returns the search for secrets by their names.
func NewSearch(secrets map[string][]byte) *Search {
	var s Search
	asIs, lower, numbers := &s.asIs, &s.lower, &s.numbers
	for name, secret := range secrets {
		if len(secret) < window {
			panic("secrettest: too short a secret to search for")
		}
		for _, form := range []struct{ element, separator string }{
			{"%#02x", " "}, {"%#x", ", "}, {"%02x", " "}, {"%02x", ":"},
			{"%o", " "}, {"%O", " "}, {"%b", " "}, {"%c", " "}, {"%U", " "},
		} {
			all := elements(secret, form.element)
			for i := range len(secret) - window + 1 {
				lower.add(name, "list of "+form.element, strings.ToLower(strings.Join(all[i:i+window], form.separator)))
			}
		}
		decimals := elements(secret, "%d")
		for i := range len(secret) - window + 1 {
			part := secret[i : i+window]
			asIs.add(name, "raw", string(part))
			for shift := range 3 {
				for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
					asIs.add(name, "base64", inBase64(alphabet, part, shift))
				}
			}
			lower.add(name, "hex", hex.EncodeToString(part))
			numbers.add(name, "decimal list", " "+strings.Join(decimals[i:i+window], " ")+" ")
			if i%4 == 0 {
				for form, words := range wordsOf(part) {
					numbers.add(name, form, " "+strings.Join(elements(words, "%d"), " ")+" ")
					for _, f := range []struct{ element, separator string }{
						{"%x", " "}, {"%08x", " "}, {"%#x", " "}, {"%#x", "  "}, {"%#x", ", "}, {"%#08x", ", "}, {"%o", " "}, {"%O", " "}, {"%b", " "}, {"%U", " "},
					} {
						if form == "64-bit words, big endian" && strings.HasSuffix(f.element, "x") {
							continue // which is "hex"
						}
						lower.add(name, form+" as "+f.element, strings.ToLower(strings.Join(elements(words, f.element), f.separator)))
					}
				}
			}
		}
	}
	return &s
}

// In returns the form of each secret that text shows, by its name.
func (s *Search) In(text string) map[string]string {
	shown := map[string]string{}
	s.asIs.in(text, shown)
	s.lower.in(strings.ToLower(text), shown)
	s.numbers.in(numbersIn(text), shown)
	return shown
}

// numbersIn returns the whole numbers of text with spaces between them and around
// them, and not the 8 of "uint8".
func numbersIn(text string) string {
	out := []byte{' '}
	for i := 0; i < len(text); i++ {
		if !digit(text[i]) {
			continue
		}
		from := i
		for i < len(text) && digit(text[i]) {
			i++
		}
		if (from == 0 || !word(text[from-1])) && (i == len(text) || !word(text[i])) {
			out = append(append(out, text[from:i]...), ' ')
		}
	}
	return string(out)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func word(c byte) bool { return digit(c) || c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }

// needles are looked for all at once: by their first eight bytes, behind a
// filter that few others pass.
type needles struct {
	byHead map[uint64][]needle
	filter [1 << 16]bool
}

type needle struct{ name, form, text string }

func (n *needles) add(name, form, text string) {
	if n.byHead == nil {
		n.byHead = map[uint64][]needle{}
	}
	head := headOf(text)
	n.byHead[head] = append(n.byHead[head], needle{name, form, text})
	n.filter[mixed(head)] = true
}

// in adds the form of each secret that text shows.
func (n *needles) in(text string, shown map[string]string) {
	for i := range len(text) - window + 1 {
		head := headOf(text[i:])
		if !n.filter[mixed(head)] {
			continue
		}
		for _, needle := range n.byHead[head] {
			if strings.HasPrefix(text[i:], needle.text) {
				shown[needle.name] = needle.form
			}
		}
	}
}

func headOf(text string) uint64 {
	var head [window]byte
	copy(head[:], text)
	return binary.LittleEndian.Uint64(head[:])
}

func mixed(head uint64) uint16 { return uint16(head * 0x9e3779b97f4a7c15 >> 48) }

// wordsOf returns eight bytes as a cipher keeps its key: words of 32 bits, and of
// 64, in either byte order. A number that would be too short to be no chance is
// left out.
func wordsOf(part []byte) map[string][]uint64 {
	out := map[string][]uint64{}
	for name, order := range map[string]binary.ByteOrder{"big endian": binary.BigEndian, "little endian": binary.LittleEndian} {
		a, b := order.Uint32(part), order.Uint32(part[4:])
		if a > 0xffff && b > 0xffff {
			out["32-bit words, "+name] = []uint64{uint64(a), uint64(b)}
		}
		if whole := order.Uint64(part); whole > 1<<48 {
			out["64-bit words, "+name] = []uint64{whole}
		}
	}
	return out
}

// elements returns each element of b by itself, as fmt prints it.
func elements[T byte | uint64](b []T, format string) []string {
	out := make([]string, len(b))
	for i, c := range b {
		out[i] = fmt.Sprintf(format, c)
	}
	return out
}

// inBase64 returns the characters of base64 that b alone decides when it
// stands shift bytes behind a group of three.
func inBase64(alphabet *base64.Encoding, b []byte, shift int) string {
	text := alphabet.EncodeToString(append(make([]byte, shift), b...))
	return text[(shift*8+5)/6 : (shift+len(b))*8/6]
}
