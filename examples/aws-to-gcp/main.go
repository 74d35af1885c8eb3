// Aws-to-gcp moves an existing store from a key of AWS KMS to one of Google
// Cloud KMS, while nothing restarts and nobody is called.
//
//	go run ./examples/aws-to-gcp -demo
//	go run ./examples/aws-to-gcp -config seal.hcl -dir /some/dir -dry-run
//	go run ./examples/aws-to-gcp -config seal.hcl -dir /some/dir -drop
//
// Seal.hcl is as in a migration of Vault: a seal "awskms" stanza with
// disabled = true, and a seal "gcpckms" one. Without -drop both open the store
// afterwards.
//
// The code to read is [move.Program.Main] and what it calls: four programs that
// differ in their seals share it.
package main

import "github.com/sealwright/sealwright/examples/internal/move"

func main() { move.Main("aws-to-gcp") }
