package awsseal_test

import (
	"fmt"
	"log"

	"github.com/sealwright/sealwright/kms/awskms/awsseal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

func ExampleProvider() {
	stanza, err := sealconf.ParseURL("awskms:///alias/unseal?region=eu-west-1&name=aws&shared_creds_filename=/run/secrets/aws")
	if err != nil {
		log.Fatal(err)
	}
	setup, err := sealconf.Build([]sealconf.Stanza{stanza}, sealconf.Options{Providers: []sealconf.Provider{awsseal.Provider(nil)}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(setup.Slots)
	// Output: map[aws:KMS aws]
}
