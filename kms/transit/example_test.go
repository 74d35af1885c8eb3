package transit_test

import (
	"context"
	"fmt"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/kms/transit/transittest"
)

func Example() {
	ctx := context.Background()
	var vault transittest.Server // stands for a server
	cfg := vault.Config("prod")  // in production: Address, TokenFile, KeyName

	w, err := transit.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	place := kms.Binding{Store: "demo", Slot: "vault"}
	blob, err := w.Wrap(ctx, make([]byte, 32), place)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %s %s %.9s\n", blob.Type, blob.KeyID, blob.Version, blob.Ciphertext)

	vault.Rotate("prod") // older versions still decrypt
	key, err := w.Unwrap(ctx, blob, place)
	fmt.Println(len(key), err)

	vault.MinDecryptionVersion("prod", 2)
	_, err = w.Unwrap(ctx, blob, place)
	fmt.Println(err)
	// Output:
	// transit transit/prod 1 vault:v1:
	// 32 <nil>
	// kms: unwrap transit key "transit/prod": key disabled: enable it: HTTP 400 Bad Request: ciphertext or signature version is disallowed by policy (too old)
}
