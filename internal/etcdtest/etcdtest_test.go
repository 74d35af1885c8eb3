//go:build unix

package etcdtest_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/etcdtest"
)

func TestCutAndCrash(t *testing.T) {
	c := etcdtest.Need(t, 3)
	first, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Cut(first, true)
	second, err := c.Leader(t.Context(), first)
	if err != nil || second == first {
		t.Fatalf("the leader %d was cut off, and the next one is %d, %v", first, second, err)
	}
	c.Cut(first, false)
	if err := c.Crash(second); err != nil {
		t.Fatal(err)
	}
	third, err := c.Leader(t.Context(), second)
	if err != nil || third == second {
		t.Fatalf("the leader %d was killed, and the next one is %d, %v", second, third, err)
	}
	if err := c.Restart(second); err != nil {
		t.Fatal(err)
	}
}

// A member whose port somebody has was waited for, and its cluster closed, where none
// was.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := "http://" + l.Addr().String()
	c, err := etcdtest.Start(1, "--listen-client-urls", taken, "--advertise-client-urls", taken)
	if errors.Is(err, etcdtest.ErrNoServer) {
		t.Skip(err)
	}
	if err == nil {
		c.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("a cluster at a port that is taken: %v", err)
	}
}
