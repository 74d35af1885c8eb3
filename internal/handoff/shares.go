package handoff

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/hpke"
	"github.com/sealwright/sealwright/internal/secret"
)

// A replica that is sealed itself, and was given shares, answers with those.
//
//	shares   1, 's', answerer (1+n), enc, box of the shares
//
// A share is its age in milliseconds (4), fingerprint (12), set (4), number (1) and
// key (32).
const (
	passed    = 's'
	shareSize = 4 + 12 + 4 + 1 + 32

	// MaxShares is how many shares an answer has at most.
	MaxShares = 255

	sharesLabel = "sealwright/handoff/v1 shares"
)

// A Share is one that a replica was given, and how long ago. Who has one wipes Y.
type Share struct {
	Age         time.Duration
	Fingerprint [12]byte
	Set         uint32
	X           byte
	Y           []byte
}

// HasShares reports whether an answer is one with shares, for OpenShares.
func HasShares(b []byte) bool { return len(b) > 1 && b[0] == version && b[1] == passed }

// AnswerShares returns the shares, encrypted to whoever made the request, and bound
// to all that the request names and to who answers.
func (r *Request) AnswerShares(answerer string, shares []Share) (b []byte, err error) {
	if !named(answerer) || len(shares) == 0 || len(shares) > MaxShares {
		return nil, ErrMalformed
	}
	secret.Do(func() {
		plain := make([]byte, 0, len(shares)*shareSize)
		defer clear(plain[:cap(plain)])
		for i := range shares {
			s := &shares[i]
			plain = binary.BigEndian.AppendUint32(plain, uint32(min(max(0, s.Age.Milliseconds()), math.MaxUint32)))
			plain = append(plain, s.Fingerprint[:]...)
			plain = binary.BigEndian.AppendUint32(plain, s.Set)
			plain = append(append(plain, s.X), s.Y...)
		}
		if len(plain) != len(shares)*shareSize {
			err = ErrMalformed
			return
		}
		enc, k, failed := hpke.Send(r.publicKey, sharesInfo(r.ID[:], answerer), sharesLabel)
		if failed != nil {
			err = fmt.Errorf("%w: its public key", ErrMalformed)
			return
		}
		defer clear(k)
		box, failed := aead.SealBox(k, sharesLabel, plain, r.ID[:])
		if failed != nil {
			err = failed
			return
		}
		b = append(appendName([]byte{version, passed}, answerer), enc...)
		b = append(b, box...)
	})
	return b, err
}

// OpenShares returns the shares in an answer, and who answered. The error is
// ErrMalformed or ErrNotMine. Like Open it works once.
func (a *Asking) OpenShares(b []byte) (shares []Share, answerer string, err error) {
	if a.wiped {
		return nil, "", ErrNotMine
	}
	defer a.Wipe()
	if !HasShares(b) || len(b) > MaxAnswer {
		return nil, "", ErrMalformed
	}
	answerer, rest, ok := takeName(b[2:])
	n := len(rest) - hpke.EncSize - aead.BoxOverhead
	if !ok || n <= 0 || n%shareSize != 0 || n/shareSize > MaxShares {
		return nil, "", ErrMalformed
	}
	secret.Do(func() {
		k, failed := a.key.Receive(rest[:hpke.EncSize], sharesInfo(a.ID[:], answerer), sharesLabel)
		if failed != nil {
			err = failed
			return
		}
		defer clear(k)
		plain, failed := aead.OpenBox(k, sharesLabel, rest[hpke.EncSize:], a.ID[:])
		if failed != nil {
			err = failed
			return
		}
		defer clear(plain)
		shares = make([]Share, 0, n/shareSize)
		for ; len(plain) > 0; plain = plain[shareSize:] {
			s := Share{Age: time.Duration(binary.BigEndian.Uint32(plain)) * time.Millisecond, Set: binary.BigEndian.Uint32(plain[16:])}
			copy(s.Fingerprint[:], plain[4:])
			s.X, s.Y = plain[20], append([]byte(nil), plain[21:shareSize]...)
			shares = append(shares, s)
		}
	})
	if err != nil {
		return nil, answerer, ErrNotMine
	}
	return shares, answerer, nil
}

// sharesInfo is info of an answer with shares.
func sharesInfo(request []byte, answerer string) []byte {
	return append(append([]byte(sharesLabel), request...), answerer...)
}
