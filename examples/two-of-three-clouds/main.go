// Two-of-three-clouds moves an existing store to three clouds, any two of which
// open it together: one of them may be away or lost, and none of them alone can
// read anything.
//
//	go run ./examples/two-of-three-clouds -demo
//	go run ./examples/two-of-three-clouds -config seal.hcl -dir /some/dir -dry-run
//	go run ./examples/two-of-three-clouds -config seal.hcl -dir /some/dir
//
// Seal.hcl has a stanza for each cloud, and one for the tree:
//
//	seal "threshold" {
//	  name      = "clouds"
//	  threshold = 2
//	  of        = ["azurekeyvault", "awskms", "gcpckms"]
//	}
//
// What opened the store before still does, unless -drop is given.
//
// The code to read is [move.Program.Main] and what it calls: four programs that
// differ in their seals share it.
package main

import "github.com/sealwright/sealwright/examples/internal/move"

func main() { move.Main("two-of-three-clouds") }
