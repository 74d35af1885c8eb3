// Aws is the least server with a key in AWS KMS.
package main

import (
	"github.com/sealwright/sealwright/internal/cloudtest/weight/least"
	"github.com/sealwright/sealwright/kms/awskms"
)

func main() {
	cloud := least.There()
	w, err := awskms.New(awskms.Config{KeyID: cloud.Key, Endpoint: cloud.Address, AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: cloud.Secret})
	least.Main(w, err)
}
