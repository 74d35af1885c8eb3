// Shamir-to-azure moves an existing store from people's shares to a key of
// Azure Key Vault, while nothing restarts.
//
//	go run ./examples/shamir-to-azure -demo
//	go run ./examples/shamir-to-azure -config seal.hcl -dir /some/dir -dry-run
//	go run ./examples/shamir-to-azure -config seal.hcl -dir /some/dir
//
// Seal.hcl is as Vault has it, with a seal "azurekeyvault" stanza. The people's
// shares are asked for without echo; -shares names a file or - instead. They go
// on opening the store, as recovery shares, unless -drop is given.
//
// The code to read is [move.Program.Main] and what it calls: four programs that
// differ in their seals share it.
package main

import "github.com/sealwright/sealwright/examples/internal/move"

func main() { move.Main("shamir-to-azure") }
