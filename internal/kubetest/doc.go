// Package kubetest checks the manifests of examples/kubernetes: it builds them
// with kustomize, as kubectl does, with each identity; decodes every object
// strictly into the types of Kubernetes' API, validates it against the API's
// OpenAPI schema, and looks whether what one object names is in another. It is a
// module of its own, never released and not in go.work, as the modules of
// Kubernetes would raise versions of the workspace:
//
//	cd internal/kubetest && GOWORK=off go test ./...
//
// testdata/openapi.json is a part of the schemas of Kubernetes 1.37 (Apache-2.0):
// those of the kinds that are used, without descriptions. They name no values
// that a text may have; what matters of those has a check of its own. It is made
// again of the directory api/openapi-spec/v3 of a checkout or of the module k8s.io/kubernetes:
//
//	go test -run TestSchemas -args -openapi DIRECTORY
package kubetest
