//go:build !goexperiment.runtimesecret

package aeadtest

// Build names how the test was built, for what it logs.
const Build = "ordinary"
