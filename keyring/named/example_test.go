package named_test

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
)

// newKeyring stands for the keyring of a server's Barrier.
func newKeyring() *keyring.Keyring {
	owner := keyring.New()
	terms := []keyring.Term{{Number: 1, Active: true}}
	rand.Read(terms[0].Key[:])
	if err := owner.Install("example", terms); err != nil {
		panic(err)
	}
	return owner.Keyring()
}

// A payment service has card numbers encrypted under a key of their own, and
// rotates it.
func Example() {
	ctx := context.Background()
	var sources []migrate.Source // for migrate's Keeper, with the tables of the server
	keys, err := named.New(named.Config{
		Keyring: newKeyring(),        // barrier.Keyring()
		Store:   named.NewMemStore(), // or that of sqlkeys
		Keep:    func(s migrate.Source) { sources = append(sources, s) },
	})
	if err != nil {
		panic(err)
	}
	if _, err := keys.Create(ctx, "cards", named.Spec{Type: named.AES256}); err != nil {
		panic(err)
	}

	key, err := keys.Key(ctx, "cards")
	if err != nil {
		panic(err)
	}
	card, err := key.Encrypt(named.Message{Plaintext: []byte("4111 1111 1111 1111"), AAD: keyring.AAD("cards", "customer 7")})
	fmt.Println(card[:9], err)

	info, err := keys.Rotate(ctx, "cards")
	fmt.Println("latest version:", info.Latest, err)

	// The next request asks for the key again. Old ciphertexts decrypt as before.
	key, err = keys.Key(ctx, "cards", card)
	if err != nil {
		panic(err)
	}
	plaintext, err := key.Decrypt(named.Ciphertext{Text: card, AAD: keyring.AAD("cards", "customer 7")})
	fmt.Println(string(plaintext), err)
	_, err = key.Decrypt(named.Ciphertext{Text: card, AAD: keyring.AAD("cards", "customer 8")})
	fmt.Println(err)
	fmt.Println(len(sources), "source to rewrap and count")
	// Output:
	// vault:v1: <nil>
	// latest version: 2 <nil>
	// 4111 1111 1111 1111 <nil>
	// named: decrypt: key "cards": does not authenticate: altered, or of another key, context or associated data
	// 1 source to rewrap and count
}

// Tenants have a key each, derived from one, and a batch keeps the errors of its
// items apart.
func ExampleBatch() {
	ctx := context.Background()
	keys, err := named.New(named.Config{Keyring: newKeyring(), Store: named.NewMemStore(), Keep: func(migrate.Source) {}})
	if err != nil {
		panic(err)
	}
	if _, err := keys.Create(ctx, "tenants", named.Spec{Derived: true}); err != nil {
		panic(err)
	}
	key, err := keys.Key(ctx, "tenants")
	if err != nil {
		panic(err)
	}
	results, err := named.Batch([]named.Message{
		{Plaintext: []byte("one"), Context: []byte("tenant 1")},
		{Plaintext: []byte("two")},
	}, key.Encrypt)
	if err != nil {
		panic(err)
	}
	fmt.Println(results[0].Value[:9], results[0].Err)
	fmt.Println(results[1].Err)
	// Output:
	// vault:v1: <nil>
	// named: encrypt: key "tenants": malformed input: the context is missing: the key is derived, and has another key for each
}

// A key signs, and whoever has its public half verifies.
func ExampleKey_Sign() {
	ctx := context.Background()
	keys, err := named.New(named.Config{Keyring: newKeyring(), Store: named.NewMemStore(), Keep: func(migrate.Source) {}})
	if err != nil {
		panic(err)
	}
	if _, err := keys.Create(ctx, "releases", named.Spec{Type: named.Ed25519}); err != nil {
		panic(err)
	}
	key, err := keys.Key(ctx, "releases")
	if err != nil {
		panic(err)
	}
	release := named.Input{Data: []byte("v1.2.3 sha256:9ecb3656")}
	signature, err := key.Sign(release)
	if err != nil {
		panic(err)
	}
	ok, err := key.Verify(release, signature.Text)
	fmt.Println(ok, err)
	ok, err = key.Verify(named.Input{Data: []byte("v6.6.6")}, signature.Text)
	fmt.Println(ok, err)
	// Output:
	// true <nil>
	// false <nil>
}
