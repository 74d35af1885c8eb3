package shamir_test

import (
	"fmt"
	"log"

	"github.com/sealwright/sealwright/shamir"
)

func Example() {
	key := []byte("thirty-two bytes: the unseal key")

	// Five custodians, any three of whom can restore the key.
	shares, err := shamir.Split(key, 5, 3)
	if err != nil {
		log.Fatal(err)
	}

	// Two are away. The order does not matter.
	restored, err := shamir.Combine([][]byte{shares[4], shares[0], shares[2]})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", restored)
	// Output: thirty-two bytes: the unseal key
}
