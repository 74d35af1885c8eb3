// Package kmstest helps to test what touches a KMS: [Conformance] is the suite
// that every provider of package kms passes, and [Fake] is a KMS in memory, with
// every fault that a real one has been seen to have. Neither is for production:
// the keys of a Fake are no secret.
//
// A Fake never looks at the clock of the machine but through package time, so
// that it may live in a bubble of [testing/synctest]. With the same calls it
// gives the same answers, down to the bytes.
//
// # Concurrency
//
// A Fake and its keys are safe for concurrent use.
//
// # Errors
//
// The errors of a Fake are those of package kms, and [Failure.Kind] says which
// of them each fault comes out as.
package kmstest
