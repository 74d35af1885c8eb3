// Package keyringtest gives a host's unit tests a keyring that is ready to use,
// with no store, no KMS and no custodians, and lets them see what production
// sees: rotations, retired terms, a sealed server.
package keyringtest

import (
	"crypto/rand"
	"testing"

	"github.com/sealwright/sealwright/keyring"
)

// store is the id of the store that every keyring of this package is of.
const store = "keyringtest"

// A Ring is a keyring and the hand that changes it. Hand its Keyring to the
// code under test. A Ring is for one goroutine; its Keyring is for any number.
type Ring struct {
	*keyring.Keyring

	tb    testing.TB
	owner *keyring.Owner
	terms []term
}

// A term is kept here, since installing a keyring.Term clears its key.
type term struct {
	number uint32
	key    keyring.Key
}

// New returns an open keyring with one term, number 1, of a random key. It is
// sealed when the test ends.
func New(tb testing.TB) *Ring {
	tb.Helper()
	owner := keyring.New()
	r := &Ring{Keyring: owner.Keyring(), tb: tb, owner: owner}
	r.add(1)
	r.Unseal()
	tb.Cleanup(owner.Seal)
	return r
}

// Rotate adds a term with a random key, makes it the active one, and returns
// its number. What was encrypted before still decrypts.
func (r *Ring) Rotate() uint32 {
	r.tb.Helper()
	number := r.terms[len(r.terms)-1].number + 1
	r.add(number)
	r.Unseal()
	return number
}

// Retire removes a term: what is encrypted under it is keyring.ErrUnknownTerm
// from now on. The test fails if the term is the active one, or not there.
func (r *Ring) Retire(number uint32) {
	r.tb.Helper()
	for i, t := range r.terms[:len(r.terms)-1] {
		if t.number == number {
			r.terms = append(r.terms[:i:i], r.terms[i+1:]...)
			r.Unseal()
			return
		}
	}
	r.tb.Fatalf("keyringtest: term %d cannot be retired: it is the active one, or not there", number)
}

// Seal seals the keyring: every call returns keyring.ErrSealed until Unseal.
func (r *Ring) Seal() { r.owner.Seal() }

// Unseal opens the keyring again, with the terms it had.
func (r *Ring) Unseal() {
	r.tb.Helper()
	var terms []keyring.Term
	for i, t := range r.terms {
		terms = append(terms, keyring.Term{Number: t.number, Key: t.key, Active: i == len(r.terms)-1})
	}
	if err := r.owner.Install(store, terms); err != nil {
		r.tb.Fatalf("keyringtest: %v", err)
	}
}

func (r *Ring) add(number uint32) {
	t := term{number: number}
	rand.Read(t.key[:])
	r.terms = append(r.terms, t)
}
