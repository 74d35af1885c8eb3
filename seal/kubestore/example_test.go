package kubestore_test

import (
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/kubestore"
)

func Example() {
	store, err := kubestore.New(kubestore.Config{Name: "payments-seal"})
	if errors.Is(err, seal.ErrConfig) {
		fmt.Println("this is no pod")
		return
	}
	b, err := seal.Open(seal.Config{Store: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close() // and go b.Run(ctx)
	// Output: this is no pod
}
