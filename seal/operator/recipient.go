package operator

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

// A parser is [Config.ParseRecipient].
type parser func(key string) (seal.Recipient, string, error)

var errPGP = badRequest("PGP keys are not used here: the answer holds the shares in clear, so send the request from where they are handed out")

// custodians reads the keys of a request's field, one for each of n shares. No
// keys are no custodians.
func (p parser) custodians(ctx context.Context, field string, keys []string, n int) ([]seal.Custodian, error) {
	switch {
	case len(keys) == 0:
		return nil, nil
	case p == nil:
		return nil, errPGP
	case len(keys) != n:
		return nil, badRequest(fmt.Sprintf("invalid seal configuration: count mismatch between number of provided PGP keys and number of shares: %s has %d, and there are %d shares", field, len(keys), n))
	}
	var out []seal.Custodian
	for i, key := range keys {
		if err := ctx.Err(); err != nil {
			return nil, err // the keys can be many, and slow
		}
		to, fingerprint, err := p(key)
		if err != nil {
			return nil, badRequest(fmt.Sprintf("%s: key %d of %d: %v", field, i+1, len(keys), err))
		}
		if to == nil {
			return nil, errors.New("operator: Config.ParseRecipient returned no recipient")
		}
		out = append(out, seal.Custodian{Name: fingerprint, Recipient: to})
	}
	return out, nil
}

// address names a custodian for each share of the slots, in the order in which
// they are delivered.
func (p parser) address(ctx context.Context, field string, keys []string, slots map[string]seal.Spec) error {
	n := 0
	for _, spec := range slots {
		n += shares(spec)
	}
	custodians, err := p.custodians(ctx, field, keys, n)
	if err != nil || custodians == nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(slots)) {
		slots[name], custodians = address(slots[name], custodians)
	}
	return nil
}

// shares counts the shares that a slot of this shape makes.
func shares(spec seal.Spec) (n int) {
	switch spec := spec.(type) {
	case seal.Shamir:
		return spec.Shares
	case seal.Threshold:
		for _, child := range spec.Of {
			n += shares(child)
		}
	}
	return n
}

// address gives the first custodians to the shares of a shape, and returns the
// others.
func address(spec seal.Spec, custodians []seal.Custodian) (seal.Spec, []seal.Custodian) {
	switch s := spec.(type) {
	case seal.Shamir:
		s.Custodians, custodians = custodians[:s.Shares], custodians[s.Shares:]
		return s, custodians
	case seal.Threshold:
		s.Of = slices.Clone(s.Of)
		for i := range s.Of {
			s.Of[i], custodians = address(s.Of[i], custodians)
		}
		return s, custodians
	}
	return spec, custodians
}

// unread stands in for a parser where the barrier will refuse the request: the
// keys of strangers are not worth the work.
func unread(string) (seal.Recipient, string, error) { return refuser{}, "unread", nil }

type refuser struct{}

func (refuser) Encrypt(string) ([]byte, error) {
	return nil, errors.New("operator: the keys were not read, as the store was there already; send the request again")
}

// A shown is a delivery as it stands in an answer. Shares in clear are their
// text, in both lists, which the tools print as they are; encrypted ones are
// hexadecimal and base64, as Vault's.
type shown struct {
	keys, base64 []string
	fingerprints []string // of those to whom they are encrypted; nil: to nobody
}

func show(d seal.Delivery) shown {
	out := shown{keys: []string{}, base64: []string{}}
	for _, set := range d.Sets {
		for i, s := range set.Shares {
			if i < len(set.Encrypted) && set.Encrypted[i] != nil {
				out.keys = append(out.keys, hex.EncodeToString(set.Encrypted[i]))
				out.base64 = append(out.base64, base64.StdEncoding.EncodeToString(set.Encrypted[i]))
				out.fingerprints = append(out.fingerprints, set.Custodians[i])
				continue
			}
			text := s.Reveal()
			out.keys, out.base64 = append(out.keys, text), append(out.base64, text)
		}
	}
	return out
}

// addressees are those to whom an operation will encrypt what it makes, by its
// id. They stay in the memory of one process; the id says that there are some.
type addressees struct {
	id         seal.OperationID
	custodians []seal.Custodian
}

// keyedMark begins the part of an operation's id that is a digest of its
// addressees.
const keyedMark = "pgp-"

// keyedID returns an id under a prefix, which tells of the addressees.
func keyedID(prefix string, to []seal.Custodian) string {
	if to == nil {
		return newID(prefix)
	}
	digest := sha256.New()
	for _, c := range to {
		io.WriteString(digest, c.Name+"\n")
	}
	return newID(prefix + keyedMark + hex.EncodeToString(digest.Sum(nil)[:4]) + ".")
}

// sendTo keeps the addressees of the operation that has just begun.
func (h *handler) sendTo(id string, to []seal.Custodian) {
	h.to.Store(&addressees{seal.OperationID(id), to})
}

// addressees returns to whom the operation of that id encrypts; nil if it does
// not. Those that a restart lost are an error: nothing is to leave in clear in
// their place.
func (h *handler) addressees(id seal.OperationID) ([]seal.Custodian, error) {
	if !strings.Contains(string(id), "."+keyedMark) {
		return nil, nil
	}
	if a := h.to.Load(); a != nil && a.id == id {
		return a.custodians, nil
	}
	return nil, badRequest("the PGP keys of this operation are with another process, or were lost: cancel it and begin again")
}

// fingerprints names the addressees of an operation, as far as this process
// knows them.
func (h *handler) fingerprints(id seal.OperationID) []string {
	to, _ := h.addressees(id)
	var out []string
	for _, c := range to {
		out = append(out, c.Name)
	}
	return out
}
