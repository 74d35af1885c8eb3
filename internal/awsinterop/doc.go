// Package awsinterop tests package awskms against a second KMS that shares no
// code with it or with awskmstest: nsmithuk/local-kms, in this process. It is a
// module of its own, never released and not in go.work, as local-kms brings the
// first SDK of AWS, a database and a logger, which nobody else should build:
//
//	cd internal/awsinterop && GOWORK=off go test ./...
//
// Where local-kms differs from AWS: it checks no signatures, calls the blob of
// another key InvalidCiphertextException, tells no key material, and trusts the
// head of a blob, which the tests check in its place.
package awsinterop
