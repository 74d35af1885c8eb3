// Package ctgrind finds code whose time depends on a secret, for tests with
// -tags valgrind. As Adam Langley's ctgrind does, it marks the secret as
// uninitialised memory, and valgrind's memcheck then complains of every jump
// and every address that follows from it. What adds, shifts and masks secrets
// passes.
package ctgrind
