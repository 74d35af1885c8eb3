package seal

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/sealwright/sealwright/internal/bech32m"
)

const (
	sharePrefix     = "sw"
	shareVersion    = 1
	sharePayloadLen = 1 + fingerprintLen + 4 + 1 + shareKeyLen
	shareTextLen    = len(sharePrefix) + 1 + sharePayloadLen*8/5 + 6

	rawHexLen    = rawShareLen * 2
	rawBase64Len = rawShareLen / 3 * 4

	// maxShareInput bounds what is looked at, white space included.
	maxShareInput = 1024
)

// ParseShare reads a share from text: the 89 characters of [Share.Reveal], in
// lower or upper case, or a raw share of Vault or OpenBao as 44 characters of
// base64 or 66 of hexadecimal. White space, also between characters, is left
// out, as people paste line breaks. Nothing else is forgiven or corrected.
//
// It fails with [ErrShareChecksum] where characters of the alphabet stand for
// others, which is sure to be found for any four of them, and with
// [ErrShareMalformed] for all else. The error never shows the text. Whether a
// good share belongs to a store is for the [Barrier] to say.
func ParseShare(text string) (Share, error) {
	if len(text) > maxShareInput {
		return Share{}, malformed("%d bytes are too many for a share%s", len(text), sealedStill(text))
	}
	text = strings.Join(strings.Fields(text), "")
	switch {
	case len(text) == shareTextLen:
		return parseShareText(text)
	case len(text) == rawHexLen:
		return parseRawShare("hexadecimal", hex.DecodeString, text)
	case len(text) == rawBase64Len && partOfShareText(text):
		return Share{}, malformed("%d of the %d characters of a share", len(text), shareTextLen)
	case len(text) == rawBase64Len:
		return parseRawShare("base64", base64.StdEncoding.Strict().DecodeString, text)
	}
	return Share{}, malformed("%d characters where a share has %d, or a raw one %d in base64 or %d in hexadecimal%s",
		len(text), shareTextLen, rawBase64Len, rawHexLen, sealedStill(text))
}

// sealedStill tells whoever gives a message in place of the share that is in it.
func sealedStill(text string) string {
	if len(text) <= shareTextLen || strings.EqualFold(text[:len(sharePrefix)+1], sharePrefix+"1") {
		return ""
	}
	return ": what is encrypted to a key is opened by its holder first, as by age -d or gpg -d"
}

func parseShareText(text string) (Share, error) {
	if !strings.EqualFold(text[:len(sharePrefix)+1], sharePrefix+"1") {
		return Share{}, malformed("a share begins with %s1", sharePrefix)
	}
	if i := strings.LastIndex(text, "1"); i > len(sharePrefix) {
		// Most likely an l. Bech32m would take what is before it for the prefix.
		return Share{}, wrongCharacter(i + 1)
	}
	_, payload, err := bech32m.Decode(text)
	defer clear(payload)
	var character *bech32m.CharacterError
	switch {
	case errors.As(err, &character):
		return Share{}, wrongCharacter(character.Position)
	case errors.Is(err, bech32m.ErrCase):
		return Share{}, malformed("upper and lower case are mixed")
	case err != nil: // the prefix and the length are right
		return Share{}, &ShareError{Kind: ErrShareChecksum}
	}

	version, rest := payload[0], payload[1:]
	if version != shareVersion {
		return Share{}, malformed("format %d, this program knows format %d", version, shareVersion)
	}
	fingerprint, rest := [fingerprintLen]byte(rest), rest[fingerprintLen:]
	set, x, y := binary.BigEndian.Uint32(rest), rest[4], rest[5:]
	if set == 0 || x == 0 {
		return Share{}, malformed("number %d of set %d, both count from 1", x, set)
	}
	return newShare(fingerprint, set, x, y), nil
}

func parseRawShare(encoding string, decode func(string) ([]byte, error), text string) (Share, error) {
	b, err := decode(text)
	defer clear(b)
	if err != nil {
		// The decoder's own error quotes the text.
		return Share{}, malformed("%d characters, but not of %s", len(text), encoding)
	}
	return RawShare(b)
}

// partOfShareText reports whether text could be cut out of a share's text: of
// the letters and digits of one in one case. Base64 of random bytes looks so
// once in 2^43 times; a share cut short at the length of base64 always does.
func partOfShareText(text string) bool {
	const bech32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l1"
	return strings.Trim(text, bech32) == "" || strings.Trim(text, strings.ToUpper(bech32)) == ""
}

func malformed(format string, args ...any) error {
	return &ShareError{Kind: ErrShareMalformed, Detail: fmt.Sprintf(format, args...)}
}

func wrongCharacter(position int) error {
	return malformed("no share has the character at position %d, white space not counted", position)
}
