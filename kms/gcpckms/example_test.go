package gcpckms_test

import (
	"context"
	"fmt"
	"log"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
)

func Example() {
	server := gcpckmstest.NewServer() // a cloud for this example
	defer server.Close()

	cfg := server.Config("unseal")
	// With the true one:
	//
	//	cfg := gcpckms.Config{
	//		KeyID:            "projects/prod/locations/europe-west3/keyRings/sealwright/cryptoKeys/unseal",
	//		AllowEnvironment: true, // the identity of the machine or pod
	//	}
	cfg.Stale = func(b *kms.Blob) { fmt.Println("stale version:", b.Version) }
	w, err := gcpckms.New(cfg)
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	place := kms.Binding{Store: "0123456789abcdef", Slot: "cloud"}
	blob, err := w.Wrap(ctx, []byte("a key of thirty-two random bytes"), place)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(blob.Type, blob.KeyID, blob.Version)

	server.Rotate("unseal")
	key, err := w.Unwrap(ctx, blob, place)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", key)

	_, err = w.Unwrap(ctx, blob, kms.Binding{Store: "another"})
	fmt.Println(err)
	// Output:
	// gcpckms projects/test/locations/europe-west3/keyRings/sealwright/cryptoKeys/unseal 1
	// stale version: 1
	// a key of thirty-two random bytes
	// kms: unwrap gcpckms key "projects/test/locations/europe-west3/keyRings/sealwright/cryptoKeys/unseal": corrupt: the blob was altered, or belongs to another place: Decryption failed: verify that 'ciphertext' and 'additional_authenticated_data' are correct.
}
