package seal_test

import (
	"context"
	"fmt"
	"log"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A server protected by a KMS key, with people's shares beside it for the day
// the KMS is gone.
func Example() {
	ctx := context.Background()
	cloud := &kmstest.Fake{} // in production: azurekeyvault, gcpckms, awskms, localkms …
	config := seal.Config{
		Store: seal.NewMemStore(), // in production: seal.OpenFileStore, sqlstore …
		KMS:   map[string]kms.Wrapper{"cloud": cloud.Key("prod")},
	}

	// Once: make the store, and hand out the shares.
	b, err := seal.Open(config)
	if err != nil {
		log.Fatal(err)
	}
	delivery, err := b.Init(ctx, map[string]seal.Spec{
		"auto":   seal.KMS{Name: "cloud"},
		"people": seal.Shamir{Shares: 5, Threshold: 3},
	}, seal.By{Actor: "installer"})
	if err != nil {
		log.Fatal(err)
	}
	shares := delivery.Sets[0].Shares
	secret, err := b.Keyring().Encrypt(nil, []byte("a third party's token"), []byte("tokens/7"))
	if err != nil {
		log.Fatal(err)
	}
	b.Close()

	// At every start: the KMS unseals.
	b, err = seal.Open(config)
	if err != nil {
		log.Fatal(err)
	}
	status, err := b.Unseal(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("sealed after a restart:", status.Sealed)
	b.Close()

	// On the worst day: three people do.
	cloud.Destroy("prod", "")
	b, err = seal.Open(config)
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	for _, share := range shares[1:4] {
		if status, err = b.Submit(ctx, share, seal.By{}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("sealed after three shares:", status.Sealed)
	token, err := b.Keyring().Decrypt(nil, secret, []byte("tokens/7"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", token)
	// Output:
	// sealed after a restart: false
	// sealed after three shares: false
	// a third party's token
}
