//go:build goexperiment.runtimesecret

package seal_test

const experiment = "runtimesecret"

// maxWrapKeys is how many copies of keys that wrap the root key may be left.
const maxWrapKeys = 0
