// Package mattn has the tests of the driver of that name, which needs cgo.
package mattn
