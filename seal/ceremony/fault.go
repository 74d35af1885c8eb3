package ceremony

import (
	"fmt"
	"strings"
	"unicode"
)

// A faultError says what is wrong with a text that is no share. Its text is
// ParseShare's, which shows nothing of what was typed.
type faultError struct {
	fault fault
	err   error
}

func (e *faultError) Error() string { return e.err.Error() }
func (e *faultError) Unwrap() error { return e.err }

// A fault is what is wrong with a text that is no share: the key of the words for it,
// and what they have to name. The page's script finds the same.
type fault struct {
	Key  string
	Args []any
}

const (
	alphabet  = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	prefix    = "sw1"
	shareLen  = 89
	mostNamed = 5 // positions
)

// faultOf names what is wrong with a text that [seal.ParseShare] refuses: the first of
// what begins otherwise, has characters of no share, mixes upper and lower case, or has
// another length; else the checksum.
func faultOf(text string) fault {
	var typed []rune
	for _, r := range text {
		if !unicode.IsSpace(r) {
			typed = append(typed, r)
		}
	}
	n := len(typed)
	var wrong []string
	upper, lower, wide := false, false, false
	for i, r := range typed {
		wide = wide || r > '~'
		upper = upper || r >= 'A' && r <= 'Z'
		lower = lower || r >= 'a' && r <= 'z'
		if i >= len(prefix) && !strings.ContainsRune(alphabet, unicode.ToLower(r)) || r > '~' {
			if len(wrong) == mostNamed {
				wrong = append(wrong, "…")
			} else if len(wrong) < mostNamed {
				wrong = append(wrong, fmt.Sprint(i+1))
			}
		}
	}
	switch {
	case n == 0:
		return fault{Key: "fault.empty"}
	case len(text) > 1024:
		return fault{Key: "fault.huge"}
	case wide:
		return fault{Key: "fault.wide", Args: []any{strings.Join(wrong, ", ")}}
	case !strings.EqualFold(string(typed[:min(n, len(prefix))]), prefix[:min(n, len(prefix))]):
		return fault{Key: "fault.prefix"}
	case len(wrong) > 0:
		return fault{Key: "fault.characters", Args: []any{strings.Join(wrong, ", ")}}
	case upper && lower:
		return fault{Key: "fault.case"}
	case n < shareLen:
		return fault{Key: "fault.short", Args: []any{n, shareLen}}
	case n > shareLen:
		return fault{Key: "fault.long", Args: []any{n, shareLen}}
	}
	return fault{Key: "fault.checksum"}
}
