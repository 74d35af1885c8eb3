package freeport_test

import (
	"net"
	"testing"

	"github.com/sealwright/sealwright/internal/freeport"
)

func TestAddress(t *testing.T) {
	had := map[string]bool{}
	for range 20 {
		address, err := freeport.Address()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if had[address] {
			t.Errorf("%s is free, and listened on", address)
		}
		had[address] = true
	}
}
