package azurekeyvault_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
)

// A server wraps its key with a key of a vault, as an application whose secret
// is mounted as a file.
func Example() {
	server := azurekeyvaulttest.NewServer() // in place of Azure
	defer server.Close()
	cfg := server.Config("prod")
	// In production:
	//
	//	cfg := azurekeyvault.Config{
	//		KeyName:          "prod",
	//		VaultURL:         "https://sealwright.vault.azure.net",
	//		TenantID:         "72f988bf-86f1-41af-91ab-2d7cd011db47",
	//		ClientID:         "11111111-2222-3333-4444-555555555555",
	//		ClientSecretFile: "/var/run/secrets/azure/client-secret",
	//	}
	wrapper, err := azurekeyvault.New(cfg)
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	key := []byte("a key of 32 bytes, more or less!")
	place := kms.Binding{Store: "0123456789abcdef", Slot: "cloud"}
	blob, err := wrapper.Wrap(ctx, key, place)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(blob.KeyID, "made", len(blob.Ciphertext), "bytes")

	got, err := wrapper.Unwrap(ctx, blob, place)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("unwrapped:", string(got) == string(key))

	server.Disable("prod", "") // somebody's mistake
	_, err = wrapper.Unwrap(ctx, blob, place)
	fmt.Println("disabled:", errors.Is(err, kms.ErrKeyDisabled))

	// Output:
	// https://sealwright.vault.azure.net/keys/prod made 257 bytes
	// unwrapped: true
	// disabled: true
}

// On Azure Kubernetes Service a pod authenticates with the token of its service
// account, which the workload identity webhook mounts.
func ExampleConfig_workloadIdentity() {
	_, err := azurekeyvault.New(azurekeyvault.Config{
		KeyName:   "prod",
		VaultName: "prod-hsm",
		Algorithm: azurekeyvault.A256GCM,
		TenantID:  "72f988bf-86f1-41af-91ab-2d7cd011db47",
		ClientID:  "11111111-2222-3333-4444-555555555555",
		TokenFile: "/var/run/secrets/azure/tokens/azure-identity-token",
	})
	fmt.Println(err)

	// Output:
	// <nil>
}
