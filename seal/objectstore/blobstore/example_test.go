package blobstore_test

import (
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore/blobstore"
)

func Example() {
	// with a credential: container.NewClient, and azidentity
	client, err := container.NewClientWithNoCredential("https://account.blob.core.windows.net/payments", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := blobstore.New(client, blobstore.Config{Key: "seal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := seal.Open(seal.Config{Store: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	fmt.Println(b.Sealed() != nil) // and go b.Run(ctx)
	// Output: true
}
