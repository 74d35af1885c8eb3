// Package ncruces has the tests of the driver of that name, which registers itself
// under the name of another.
package ncruces
