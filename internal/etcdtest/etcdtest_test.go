//go:build unix

package etcdtest_test

import (
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
