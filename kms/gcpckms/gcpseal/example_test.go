package gcpseal_test

import (
	"fmt"
	"log"

	"github.com/sealwright/sealwright/kms/gcpckms/gcpseal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

func ExampleProvider() {
	stanza, err := sealconf.ParseURL("gcpckms://prod/global/seals/unseal?name=gcp&credentials=/run/secrets/gcp.json")
	if err != nil {
		log.Fatal(err)
	}
	setup, err := sealconf.Build([]sealconf.Stanza{stanza}, sealconf.Options{Providers: []sealconf.Provider{gcpseal.Provider(nil)}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(setup.Slots)
	// Output: map[gcp:KMS gcp]
}
