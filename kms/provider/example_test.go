package provider_test

import (
	"fmt"

	"github.com/sealwright/sealwright/kms/provider"
)

// A field of a configuration that names a file.
func ExamplePath() {
	for _, written := range []string{"/run/secrets/aws", "file:///run/secrets/aws", `{"private_key": "…"}`} {
		fmt.Println(provider.Path("CredentialsFile", written, false))
	}
	// Output:
	// /run/secrets/aws <nil>
	// /run/secrets/aws <nil>
	//  CredentialsFile must be the path of a file, and holds what looks like the content of one: put it into a file that only this server may read, and write its path
}
