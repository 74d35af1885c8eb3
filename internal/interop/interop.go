// Package interop holds what needs the code of others: tests against it, and
// [github.com/sealwright/sealwright/internal/interop/ratios], which measures
// beside it. It is a module of its own, so that nobody who imports Sealwright
// gets to see what it requires, it is never released, and it stands outside the
// workspace, where what Vault requires would have to be fetched by everybody.
//
//	cd internal/interop && GOWORK=off go test ./...
package interop
