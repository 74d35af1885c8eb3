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
		Store: seal.NewMemStore(), // in production: filestore.Open, sqlstore.Open …
		KMS:   map[string]kms.Wrapper{"cloud": cloud.Key("prod")},
	}

	// Once: make the store, and hand out the shares.
	b, err := seal.Open(config)
	if err != nil {
		log.Fatal(err)
	}
	delivery, err := b.Init(ctx, map[string]seal.Spec{
		"auto":   seal.KMS{Wrapper: "cloud"},
		"people": seal.Shamir{Shares: 5, Threshold: 3},
	}, seal.By{Actor: "installer"})
	if err != nil {
		log.Fatal(err)
	}
	shares := delivery.Sets[0].Shares
	secret, err := b.Box("tokens").Encrypt(ctx, []byte("a third party's token"), "7")
	if err != nil {
		log.Fatal(err)
	}
	b.Close()

	// At every start: the KMS unseals.
	b, err = seal.Open(config)
	if err != nil {
		log.Fatal(err)
	}
	if err := b.Unseal(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("unsealed by the KMS")
	b.Close()

	// On the worst day: three people do.
	cloud.Destroy("prod", "")
	b, err = seal.Open(config)
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	for _, share := range shares[1:4] {
		done, err := b.Submit(ctx, share, seal.By{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("unsealed by this share:", done)
	}
	token, err := b.Box("tokens").Decrypt(ctx, secret, "7")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", token)
	// Output:
	// unsealed by the KMS
	// unsealed by this share: false
	// unsealed by this share: false
	// unsealed by this share: true
	// a third party's token
}
