package record

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// What a person's name is cut to, in front of the mark of a cut and of what tells
// the name from others that begin alike.
const (
	cutMark   = "%#"
	cutDigest = 24 // hex digits: 96 bits
	cutAt     = MaxIdentity - len(cutMark) - cutDigest
)

// Person returns the name of a person as a record holds it, whatever it is, so that
// nothing is refused for somebody's name: CheckIdentity takes it. Each byte that is
// not printable ASCII, and "%" itself, is "%" and two hex digits, as in URLs. What
// is then too long ends in "%#", which stands nowhere else, and 24 hex digits of
// the SHA-256 of the whole name. So no two names become the same, and a name that
// needs none of it is as it was.
func Person(name string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	cut := 0 // of what is written so far, what stays if it is cut
	for i := 0; i < len(name) && b.Len() <= MaxIdentity; i++ {
		if c := name[i]; c < ' ' || c > '~' || c == '%' {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		} else {
			b.WriteByte(c)
		}
		if b.Len() <= cutAt {
			cut = b.Len()
		}
	}
	if b.Len() <= MaxIdentity {
		return b.String()
	}
	sum := sha256.Sum256([]byte(name))
	return b.String()[:cut] + cutMark + hex.EncodeToString(sum[:])[:cutDigest]
}
