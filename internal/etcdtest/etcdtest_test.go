//go:build unix

package etcdtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/etcdtest"
	"github.com/sealwright/sealwright/internal/testlevel"
)

func TestCutAndCrash(t *testing.T) {
	testlevel.NeedsWhole(t, "starts four servers")
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
	if testing.Short() {
		t.Skip("-short: starts a server")
	}
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

// TestGroupIsStopped: what ends a test ends its process group too, its servers' shells
// among them; a server that goes on after that was left running.
func TestGroupIsStopped(t *testing.T) {
	if os.Getenv("ETCDTEST_GROUP") != "" {
		c, err := etcdtest.Start(1)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(c.Endpoints()[0])
		time.Sleep(time.Minute) // it is stopped before
		return
	}
	if testing.Short() {
		t.Skip("-short: starts processes")
	}
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestGroupIsStopped$")
	cmd.Env = append(os.Environ(), "ETCDTEST_GROUP=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", strings.TrimSpace(address))
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(end) {
			t.Fatalf("etcd still answers at %s", address)
		}
	}
}
