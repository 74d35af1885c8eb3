package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A server rotates its data key, brings what it has stored under the new one,
// and retires the old one. Its tokens are a [migrate.Source], here in memory.
func ExampleRewrap() {
	ctx := context.Background()
	cloud := &kmstest.Fake{}
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(),
		KMS:   map[string]kms.Wrapper{"cloud": cloud.Key("prod")},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		log.Fatal(err)
	}
	kr := b.Keyring()
	tokens, box := &memSource{}, b.Box("tokens")
	for _, user := range []string{"ada", "bob", "cyd"} {
		ciphertext, err := box.Encrypt(ctx, []byte("token of "+user), user)
		if err != nil {
			log.Fatal(err)
		}
		tokens.items = append(tokens.items, migrate.Item{ID: user, AAD: box.AAD(user), Ciphertext: ciphertext})
	}

	if err := b.Rotate(ctx, seal.By{}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(migrate.Retire(ctx, b, 1, seal.By{}, tokens))
	for p, err := range migrate.Rewrap(ctx, kr, tokens, migrate.RewrapOptions{ItemsPerSecond: 500}) {
		if bad, ok := errors.AsType[*migrate.ItemError](err); ok {
			log.Print(bad)
		} else if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("after %q: %d rewrapped, done: %t\n", p.After, p.Rewrapped, p.Done)
	}
	census, err := migrate.Count(ctx, kr, tokens)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("under term 1:", census.Terms[1].Items, "under term 2:", census.Terms[2].Items)
	fmt.Println("retired:", migrate.Retire(ctx, b, 1, seal.By{}, tokens) == nil)
	// Output:
	// migrate: retire: term 1 is in use: 3 items, 243 bytes, in 1 of 1 sources: rewrap them first
	// after "cyd": 3 rewrapped, done: false
	// after "cyd": 3 rewrapped, done: true
	// under term 1: 0 under term 2: 3
	// retired: true
}
