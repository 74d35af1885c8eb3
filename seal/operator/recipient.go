package operator

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sealwright/sealwright/seal"
)

// A parser is [Config.ParseRecipient].
type parser func(key string) (seal.Recipient, string, error)

var errReading = badRequest("the keys could not be read in time: send fewer, or plain ones, or try again")

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
		if ctx.Err() != nil {
			return nil, errReading // the keys can be many, and slow
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
		if slots[name], custodians, err = address(field, slots[name], custodians); err != nil {
			return err
		}
	}
	return nil
}

// distinct refuses a set in which one key stands for two shares: it would be
// one holder with more of a quorum than the set says.
func distinct(field string, set []seal.Custodian) error {
	for i := range set {
		for j := range i {
			if set[i].Name == set[j].Name {
				return badRequest(fmt.Sprintf("%s: shares %d and %d of one set are for the same key, %s: each share is for a holder of its own", field, j+1, i+1, set[i].Name))
			}
		}
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
func address(field string, spec seal.Spec, custodians []seal.Custodian) (seal.Spec, []seal.Custodian, error) {
	switch s := spec.(type) {
	case seal.Shamir:
		s.Custodians, custodians = custodians[:s.Shares], custodians[s.Shares:]
		return s, custodians, distinct(field, s.Custodians)
	case seal.Threshold:
		s.Of = slices.Clone(s.Of)
		for i := range s.Of {
			var err error
			if s.Of[i], custodians, err = address(field, s.Of[i], custodians); err != nil {
				return nil, nil, err
			}
		}
		return s, custodians, nil
	}
	return spec, custodians, nil
}

// unread stands in for a parser where the barrier will refuse the request: the
// keys of strangers are not worth the work.
func unread(key string) (seal.Recipient, string, error) {
	digest := sha256.Sum256([]byte(key))
	return refuser{}, hex.EncodeToString(digest[:]), nil
}

type refuser struct{}

func (refuser) Encrypt(context.Context, string) ([]byte, error) {
	return nil, errors.New("operator: the keys were not read, as the store was there already; send the request again")
}

// A shown is a delivery as it stands in an answer. Shares in clear are their
// text, in both lists, which the tools print as they are; encrypted ones are
// hexadecimal and base64, as Vault's.
type shown struct {
	keys, base64 []string
	fingerprints []string // of those to whom they are encrypted; nil: to nobody
	hints        []string // for each of those; nil if none of them needs one
}

func show(d seal.Delivery) shown {
	out := shown{keys: []string{}, base64: []string{}}
	var hints []string
	hinted := false
	for _, set := range d.Sets {
		for i, s := range set.Shares {
			if i < len(set.Encrypted) && set.Encrypted[i] != nil {
				out.keys = append(out.keys, hex.EncodeToString(set.Encrypted[i]))
				out.base64 = append(out.base64, base64.StdEncoding.EncodeToString(set.Encrypted[i]))
				out.fingerprints = append(out.fingerprints, set.Custodians[i])
				hints = append(hints, set.Hints[i])
				hinted = hinted || set.Hints[i] != ""
				continue
			}
			text := s.Reveal()
			out.keys, out.base64 = append(out.keys, text), append(out.base64, text)
		}
	}
	if hinted {
		out.hints = hints
	}
	return out
}

// addressees are those to whom an operation will encrypt what it makes, by its
// id. They stay in the memory of one process; the id says that there are some.
type addressees struct {
	id         seal.OperationID
	custodians []seal.Custodian
}

// sendTo keeps the addressees of the operation that has just begun.
func (h *handler) sendTo(id seal.OperationID, to []seal.Custodian) {
	h.to.Store(&addressees{id, to})
}

// addressees returns to whom the operation of that id encrypts; nil if it does
// not. Those that a restart lost are an error: nothing is to leave in clear in
// their place.
func (h *handler) addressees(id seal.OperationID) ([]seal.Custodian, error) {
	if p, _ := parsePurpose(id); p.keys == "" {
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
