// Package handoff is what two replicas say to each other where one has the root
// key and the other asks for it: the bytes of a request, an answer and a refusal,
// and the encryption of the root key to a key pair that lives for one request. It
// must not know who may ask, what a root key opens, nor how the bytes travel.
package handoff

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/hpke"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/secret"
)

// The messages, whose lengths have bounds that nobody's request moves. FORMAT.md
// of package seal has the tables.
//
//	request  1, 'q', store (16), generation (8), digest (32), nonce (32), asker (1+n), public key
//	answer   1, 'a', answerer (1+n), enc, box of the root key
//	refusal  1, 'r', answerer (1+n), code
const (
	version = 1
	request = 'q'
	answer  = 'a'
	refusal = 'r'

	rootSize = 32
	nonce    = 32
	fixed    = 2 + 16 + 8 + 32 + nonce // of a request, before the names
	boxSize  = aead.BoxOverhead + rootSize

	// MaxName is the length in bytes of the longest name of a replica.
	MaxName = record.MaxIdentity

	// MaxRequest is the length of the longest request.
	MaxRequest = fixed + 1 + MaxName + hpke.PublicKeySize

	// MaxAnswer is that of the longest answer or refusal, which is one with shares.
	MaxAnswer = 2 + 1 + MaxName + hpke.EncSize + aead.BoxOverhead + MaxShares*shareSize
)

// label is what the answer is bound to beside the request and the answerer.
const label = "sealwright/handoff/v1"

var (
	// ErrMalformed: these bytes are no message of this version.
	ErrMalformed = errors.New("not a message of a hand-off that this version knows")
	// ErrNotMine: the answer is another request's, or was changed.
	ErrNotMine = errors.New("the answer is not one to this request")
)

// A Request is what a replica asks: for the root key of this record, and of no
// other, encrypted to a key of its own.
type Request struct {
	Store      string // 32 hex digits
	Generation uint64
	Digest     record.Digest
	Asker      string

	// ID is the SHA-256 of the whole, which no two requests have alike.
	ID [sha256.Size]byte

	publicKey []byte
}

// Asking is a request that waits for its answer. Whoever has one wipes it.
type Asking struct {
	Bytes []byte            // of the request
	ID    [sha256.Size]byte // of the request

	key   *hpke.PrivateKey
	wiped bool
}

// Ask makes the request for the root key of a record, with a fresh key pair.
func Ask(r Request) (*Asking, error) {
	store, err := hex.DecodeString(r.Store)
	if err != nil || len(store) != 16 || !named(r.Asker) {
		return nil, fmt.Errorf("%w: store %.40q, replica %.70q", ErrMalformed, r.Store, r.Asker)
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, MaxRequest)
	b = append(b, version, request)
	b = append(b, store...)
	b = binary.BigEndian.AppendUint64(b, r.Generation)
	b = append(b, r.Digest[:]...)
	b = append(b, make([]byte, nonce)...)
	rand.Read(b[len(b)-nonce:])
	b = appendName(b, r.Asker)
	b = append(b, key.PublicKey()...)
	return &Asking{Bytes: b, ID: sha256.Sum256(b), key: key}, nil
}

func newKey() (key *hpke.PrivateKey, err error) {
	secret.Do(func() {
		seed := make([]byte, mlkem.SeedSize)
		defer clear(seed)
		rand.Read(seed)
		pq, failed := mlkem.NewDecapsulationKey768(seed)
		if failed != nil {
			err = failed
			return
		}
		scalar := make([]byte, 32)
		defer clear(scalar)
		for { // ends at once but for one of 2^32 times
			rand.Read(scalar)
			if t, err := ecdh.P256().NewPrivateKey(scalar); err == nil {
				key = hpke.NewPrivateKey(pq, t)
				return
			}
		}
	})
	return key, err
}

// Wipe clears the private key: no answer opens any more.
func (a *Asking) Wipe() {
	if !a.wiped {
		a.wiped = true
		a.key.Wipe()
	}
}

// Open returns the root key of the answer, for the caller to wipe, and who
// answered, as the answer is bound to. The error is a [Refusal], ErrMalformed or
// ErrNotMine. Open works once: the private key is wiped by it.
func (a *Asking) Open(b []byte) (root []byte, answerer string, err error) {
	if a.wiped {
		return nil, "", ErrNotMine
	}
	defer a.Wipe()
	answerer, kind, rest, err := parseAnswer(b)
	if err != nil {
		return nil, "", err
	}
	if kind == refusal {
		return nil, answerer, Refusal(rest[0])
	}
	secret.Do(func() {
		k, failed := a.key.Receive(rest[:hpke.EncSize], info(a.ID, answerer), label)
		if failed != nil {
			err = failed
			return
		}
		defer clear(k)
		root, err = aead.OpenBox(k, label, rest[hpke.EncSize:], a.ID[:])
	})
	if err != nil {
		return nil, answerer, ErrNotMine
	}
	return root, answerer, nil
}

// ParseRequest reads a request. It accepts only the bytes that Ask writes.
func ParseRequest(b []byte) (*Request, error) {
	if len(b) < fixed+1 || len(b) > MaxRequest || b[0] != version || b[1] != request {
		return nil, ErrMalformed
	}
	r := &Request{Store: hex.EncodeToString(b[2:18]), Generation: binary.BigEndian.Uint64(b[18:26]), Digest: record.Digest(b[26:58])}
	asker, rest, ok := takeName(b[fixed:])
	if !ok || len(rest) != hpke.PublicKeySize {
		return nil, ErrMalformed
	}
	r.Asker, r.publicKey, r.ID = asker, rest, sha256.Sum256(b)
	return r, nil
}

// Answer returns the root key, encrypted to whoever made the request, and bound
// to all that the request names and to who answers.
func (r *Request) Answer(answerer string, root []byte) (b []byte, err error) {
	if !named(answerer) || len(root) != rootSize {
		return nil, ErrMalformed
	}
	secret.Do(func() {
		enc, k, failed := hpke.Send(r.publicKey, info(r.ID, answerer), label)
		if failed != nil {
			err = fmt.Errorf("%w: its public key", ErrMalformed)
			return
		}
		defer clear(k)
		box, failed := aead.SealBox(k, label, root, r.ID[:])
		if failed != nil {
			err = failed
			return
		}
		b = append(appendName([]byte{version, answer}, answerer), enc...)
		b = append(b, box...)
	})
	return b, err
}

// info is what the exported key is bound to. Both parts have one length or are
// last, so that no two places have the same bytes.
func info(request [sha256.Size]byte, answerer string) []byte {
	return append(append([]byte(label), request[:]...), answerer...)
}

func parseAnswer(b []byte) (answerer string, kind byte, rest []byte, err error) {
	if len(b) < 3 || len(b) > MaxAnswer || b[0] != version {
		return "", 0, nil, ErrMalformed
	}
	answerer, rest, ok := takeName(b[2:])
	switch kind = b[1]; {
	case ok && kind == answer && len(rest) == hpke.EncSize+boxSize:
	case ok && kind == refusal && len(rest) == 1 && Refusal(rest[0]).known():
	default:
		return "", 0, nil, ErrMalformed
	}
	return answerer, kind, rest, nil
}

// named reports whether a text can be the name of a replica.
func named(s string) bool { return s != "" && record.CheckIdentity(s) == nil }

func appendName(b []byte, name string) []byte { return append(append(b, byte(len(name))), name...) }

func takeName(b []byte) (name string, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return "", nil, false
	}
	name, rest = string(b[1:1+b[0]]), b[1+b[0]:]
	return name, rest, named(name)
}
