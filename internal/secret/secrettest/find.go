package secrettest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// window is how many bytes of a secret in a row make a leak: few enough to
// catch a part, enough not to occur by chance.
const window = 8

// Find returns the form in which text shows any eight bytes in a row of
// secret, or "" if it shows none: as they are, in hexadecimal, in base64 of
// either alphabet at any alignment, and as a list of numbers or characters the
// way fmt prints a []byte. It panics on a secret of less than eight bytes.
func Find(text string, secret []byte) string {
	if len(secret) < window {
		panic("secrettest: too short a secret to search for")
	}
	lower := strings.ToLower(text)
	numbers := " " + strings.Join(decimal.FindAllString(text, -1), " ") + " "
	for i := range len(secret) - window + 1 {
		part := secret[i : i+window]
		switch {
		case strings.Contains(text, string(part)):
			return "raw"
		case strings.Contains(lower, hex.EncodeToString(part)):
			return "hex"
		case strings.Contains(numbers, " "+list(part, "%d", " ")+" "):
			return "decimal list"
		}
		for _, form := range []struct{ element, separator string }{
			{"%#02x", " "}, {"%#x", ", "}, {"%02x", " "}, {"%02x", ":"},
			{"%o", " "}, {"%O", " "}, {"%b", " "}, {"%c", " "}, {"%U", " "},
		} {
			if strings.Contains(lower, strings.ToLower(list(part, form.element, form.separator))) {
				return "list of " + form.element
			}
		}
		for shift := range 3 {
			for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				if strings.Contains(text, inBase64(alphabet, part, shift)) {
					return "base64"
				}
			}
		}
	}
	return ""
}

// decimal finds whole numbers, and not the 8 of "uint8".
var decimal = regexp.MustCompile(`\b[0-9]+\b`)

func list(b []byte, element, separator string) string {
	parts := make([]string, len(b))
	for i, c := range b {
		parts[i] = fmt.Sprintf(element, c)
	}
	return strings.Join(parts, separator)
}

// inBase64 returns the characters of base64 that b alone decides when it
// stands shift bytes behind a group of three.
func inBase64(alphabet *base64.Encoding, b []byte, shift int) string {
	text := alphabet.EncodeToString(append(make([]byte, shift), b...))
	return text[(shift*8+5)/6 : (shift+len(b))*8/6]
}
