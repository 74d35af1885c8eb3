//go:build goexperiment.runtimesecret

package seal_test

const build = "runtimesecret"
