// Package custody is what a slot is held by: custodians, who are people, whose
// shares are matched with the record and gathered, and KMS keys, which are asked.
// It makes the trees that protect a slot's seed, and opens them. It must not know the
// store, nor what is done with a root key: a record is handed to it, nothing is
// stored, nobody is told, and what a share or a blob claims is never believed
// here but reported ([Answer]).
//
// A tree protects a value of 32 bytes, the seed at its top. An inner node splits
// its value by Shamir's scheme, the children holding x = 1, 2, 3 … in their
// order. A KMS leaf encrypts its value under a random w of its own, and the KMS
// wraps w: what the KMS stores is never a key itself, and the box binds it to
// its place also where the KMS cannot. People hold their leaf's value in shares.
package custody

import (
	"crypto/rand"
	"crypto/subtle"

	"github.com/sealwright/sealwright/internal/record"
)

// A position is a node's place in its tree: its path, and its parent's
// threshold and width.
type position struct {
	path             string
	threshold, width int
}

var top = position{"", 1, 1}

func (p position) child(i, threshold, width int) position {
	return position{record.ChildPath(p.path, i), threshold, width}
}

// RandomKey returns 32 random bytes.
func RandomKey() []byte {
	k := make([]byte, 32)
	rand.Read(k)
	return k
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// withX returns y ‖ x, as package shamir takes it. Y is copied once: a slice that
// grew would leave copies behind.
func withX(y []byte, x byte) []byte {
	return append(append(make([]byte, 0, len(y)+1), y...), x)
}

func wipeAll(parts [][]byte) {
	for _, p := range parts {
		clear(p)
	}
}
