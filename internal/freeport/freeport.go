// Package freeport finds addresses for the servers that tests start as programs of
// their own, or anew at an address that others know.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The systems that tests run on give connections ports from 32768 on, and a server
// that asks for none in particular. A port of those that was free a moment ago can be
// somebody's, so that on a busy machine a server now and then did not start.
const first, end = 10_000, 32_000

// Address returns a host and port of loopback at which nobody listens, and which nobody
// gets who does not ask for it.
func Address() (address string, err error) {
	for range 100 {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(end-first)))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("no free port of loopback: %w", err)
}
