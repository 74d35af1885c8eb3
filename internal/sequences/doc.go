// Package sequences makes random sequences of calls of the Barrier, of the
// keyring and of Split and Combine, and compares every answer with that of an
// oracle: a plain struct that says who can open the store and which plaintexts
// must decrypt. It is a module of its own because of
// [pgregory.net/rapid], which makes the sequences and shortens those that fail:
// MPL 2.0, no dependency of its own, and linked by nothing but this test.
//
// The suite makes as many as take it a few seconds, the same ones each time. For
// more, from a seed of your choice, or from any with 0:
//
//	go test -run Barrier -v . -rapid.checks=10000 -rapid.seed=0
//
// A failure is shown as the shortest sequence of calls that was found for it.
// With -rapid.failfile it is made again.
package sequences
