// Package testlevel says how much the tests are to try. There are three levels:
//
//	go test -short ./...                    a sample, within half a minute
//	go test ./...                           every test; an enumeration makes a part of its trials
//	SEALWRIGHT_TESTS=whole go test ./...    all trials: what the figures of docs/GUARANTEES.md come from
//
// A test asks testing.Short for the first and [Whole] for the last. It is for tests
// alone.
package testlevel

import "os"

// Whole reports whether all trials are to be made, however long they take.
func Whole() bool { return os.Getenv("SEALWRIGHT_TESTS") == "whole" }
