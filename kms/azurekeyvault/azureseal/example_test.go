package azureseal_test

import (
	"fmt"
	"log"

	"github.com/sealwright/sealwright/kms/azurekeyvault/azureseal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

func ExampleProvider() {
	stanza, err := sealconf.ParseURL("azurekeyvault://prod/unseal?name=azure")
	if err != nil {
		log.Fatal(err)
	}
	setup, err := sealconf.Build([]sealconf.Stanza{stanza}, sealconf.Options{Providers: []sealconf.Provider{azureseal.Provider(nil)}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(setup.Slots)
	// Output: map[azure:KMS azure]
}
