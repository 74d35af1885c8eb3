package gcsstore_test

import (
	"context"
	"fmt"
	"net/http"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore/gcsstore"
)

func Example() {
	// without options it finds the credentials of its surroundings
	client, err := storage.NewClient(context.Background(), option.WithHTTPClient(http.DefaultClient))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	store, err := gcsstore.New(client, gcsstore.Config{Bucket: "payments", Key: "seal"})
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
