// Azure-to-shamir moves an existing store from a key of Azure Key Vault to
// people's shares, while nothing restarts.
//
//	go run ./examples/azure-to-shamir -demo
//	go run ./examples/azure-to-shamir -config seal.hcl -dir /some/dir -dry-run
//	go run ./examples/azure-to-shamir -config seal.hcl -dir /some/dir -out shares.txt
//
// Seal.hcl is as in a migration of Vault: a seal "azurekeyvault" stanza with
// disabled = true, and a seal "shamir" one that says shares and threshold. The
// new shares are printed, or written to -out; then a threshold of them is asked
// for, or read from -shares, to prove that they arrived. Only after that the
// Azure key's slot is dropped, and only with -drop.
//
// The code to read is [move.Program.Main] and what it calls: four programs that
// differ in their seals share it.
package main

import "github.com/sealwright/sealwright/examples/internal/move"

func main() { move.Main("azure-to-shamir") }
