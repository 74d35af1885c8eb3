package azurekeyvault

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/kms"
)

const (
	ivSize  = 12
	tagSize = 16
)

// code is the first byte of a blob's ciphertext, or 0.
func (a Algorithm) code() byte {
	return byte(1 + slices.Index([]Algorithm{RSAOAEP256, A256KW, A256GCM}, a))
}

// authenticates reports whether only somebody who may use the key can wrap.
func (a Algorithm) authenticates() bool { return a != RSAOAEP256 }

// sealed is what the KMS made of a key.
type sealed struct {
	algorithm Algorithm
	iv, tag   []byte // of A256GCM alone
	value     []byte
}

// check returns how the lengths differ from those the algorithm makes.
func (s sealed) check() error {
	n, ok := len(s.value), false
	switch s.algorithm {
	case RSAOAEP256:
		ok = n == 2048/8 || n == 3072/8 || n == 4096/8
	case A256KW:
		ok = validKey(n - 8)
	case A256GCM:
		ok = validKey(n) && len(s.iv) == ivSize && len(s.tag) == tagSize
	}
	if !ok {
		return fmt.Errorf("%s makes no result of %d bytes with an iv of %d and a tag of %d", s.algorithm, n, len(s.iv), len(s.tag))
	}
	return nil
}

// holds reports whether a key of n bytes can be inside.
func (s sealed) holds(n int) bool {
	switch s.algorithm {
	case A256KW:
		n += 8
		fallthrough
	case A256GCM:
		return n == len(s.value)
	}
	return validKey(n)
}

// validKey reports whether a [kms.Wrapper] wraps keys of n bytes.
func validKey(n int) bool { return n >= 16 && n <= kms.MaxKeySize && n%8 == 0 }

func (s sealed) marshal() []byte {
	return slices.Concat([]byte{s.algorithm.code()}, s.iv, s.tag, s.value)
}

// parseSealed is the inverse of marshal. The parts share memory with b.
func parseSealed(b []byte) (s sealed, err error) {
	if len(b) == 0 {
		return s, errors.New("the blob has no ciphertext")
	}
	for _, a := range []Algorithm{RSAOAEP256, A256KW, A256GCM} {
		if a.code() == b[0] {
			s.algorithm = a
		}
	}
	s.value = b[1:]
	switch {
	case s.algorithm == "":
		return s, fmt.Errorf("the blob has the unknown algorithm %d: it is damaged, or of a later release", b[0])
	case s.algorithm == A256GCM && len(s.value) >= ivSize+tagSize:
		s.iv, s.tag, s.value = b[1:1+ivSize], b[1+ivSize:1+ivSize+tagSize], b[1+ivSize+tagSize:]
	}
	return s, s.check()
}

// versionOf returns the version in kid, the identifier of a version of the key
// that keyID names. Azure compares identifiers without case.
func versionOf(kid, keyID string) (string, error) {
	kid = strings.Replace(kid, ":443/", "/", 1)
	if n := len(keyID); len(kid) > n && strings.EqualFold(kid[:n], keyID) && kid[n] == '/' {
		if v := kid[n+1:]; validVersion(v) {
			return v, nil
		}
	}
	return "", fmt.Errorf("%.300q answered, which is no version of the key", kid)
}

// validVersion reports whether v can be a version: 32 letters and digits of
// Azure's choice, and nothing that would change the path of a request.
func validVersion(v string) bool {
	return len(v) == 32 && strings.Trim(v, "0123456789abcdefABCDEF") == ""
}
