package objectstore_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/seal/objectstore"
)

// A server that ignores If-Match is found out before anything is written.
func ExampleStore_Prove() {
	server := newMemory() // a Bucket; s3store, gcsstore and blobstore bring theirs
	server.blind = func(old string) bool { return old != "" }
	store, err := objectstore.New(server, objectstore.Config{Key: "payments/seal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = store.Prove(context.Background()) // the first Swap does it by itself
	fmt.Println(errors.Is(err, objectstore.ErrNoConditions))
	fmt.Println(err)
	// Output:
	// true
	// the server does not keep the conditions of a write: of 4 racing swaps more than one won
}
