package handoff

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/sha256"
	"testing"

	"github.com/sealwright/sealwright/internal/hpke"
)

// AskBy is Ask, with the seeds of the key pair.
func AskBy(t testing.TB, r Request) (a *Asking, seed, scalar []byte) {
	a, err := Ask(r)
	if err != nil {
		t.Fatal(err)
	}
	pq, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	seed, scalar = pq.Bytes(), sha256.New().Sum([]byte{1})[:32]
	a = AskedBy(t, a.Bytes, seed, scalar)
	copy(a.Bytes[len(a.Bytes)-hpke.PublicKeySize:], a.key.PublicKey())
	return AskedBy(t, a.Bytes, seed, scalar), seed, scalar
}

// AskedBy is who made a request with that key pair.
func AskedBy(t testing.TB, request, seed, scalar []byte) *Asking {
	pq, err := mlkem.NewDecapsulationKey768(seed)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		t.Fatal(err)
	}
	return &Asking{Bytes: request, ID: sha256.Sum256(request), key: hpke.NewPrivateKey(pq, p)}
}
