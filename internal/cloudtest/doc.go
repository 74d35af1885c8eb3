// Package cloudtest migrates stores between every two kinds of seal, through the
// clouds' own SDKs, which speak to fakes on loopback, and kills the process at
// every swap of the store; and rolls fleets of replicas from one key of a cloud
// to another. It is a module of its own, never released, because of the SDKs.
package cloudtest
