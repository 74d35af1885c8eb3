package s3store_test

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore/s3store"
)

func Example() {
	client := s3.New(s3.Options{Region: "eu-central-1"}) // or s3.NewFromConfig
	store, err := s3store.New(client, s3store.Config{Bucket: "payments", Key: "seal"})
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
