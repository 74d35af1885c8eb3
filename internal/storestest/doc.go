// Package storestest runs the stores of clusters on real servers, which its tests
// start themselves on loopback where they are installed: etcd; where the program
// servers has fetched them: versitygw, Azurite; where kube/apiserver has
// built it: kube-apiserver; and an emulator of Cloud Storage.
// Racing writers are checked for linearizability. It is a module of its own, never
// released and outside the workspace, because of what the servers' clients bring.
//
//	cd internal/storestest && GOWORK=off go test ./...
package storestest
