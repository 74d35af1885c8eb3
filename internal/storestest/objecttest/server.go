//go:build unix

// Package objecttest starts servers of object storage for tests, kills them, and has
// writers race over the stores in them.
package objecttest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/freeport"
)

// Cached returns where the program servers keeps what it fetched, or skips the test
// where that is not there.
func Cached(t testing.TB, name string, path ...string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	file := filepath.Join(append([]string{cache, "sealwright", name}, path...)...)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("no %s: cd internal/storestest && GOWORK=off go run ./servers %s", name, strings.Split(name, "-")[0])
	}
	return file
}

// A Server is a process that listens on loopback.
type Server struct {
	addr string
	args []string
	cmd  *exec.Cmd
	stop io.WriteCloser // its end stops the server, also when this process is killed
	log  string
}

// Start starts a server until the test ends. Command says how, given the address to
// listen on.
func Start(t testing.TB, command func(host, port string) []string) *Server {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(addr)
	s := &Server{addr: addr, args: command(host, port), log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(s.Kill)
	s.Restart(t)
	return s
}

// Addr returns where the server listens.
func (s *Server) Addr() string { return s.addr }

// Kill kills the server with SIGKILL, and waits for its end.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.stop.Close()
	s.cmd.Wait()
	s.cmd = nil
}

// Restart starts the server where it was killed. A shell stops it when its input
// ends, which it does at the latest when this process does.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	const keep = `trap : INT TERM HUP; "$@" </dev/null & server=$!; read word; kill -KILL $server; wait $server`
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command("/bin/sh", append([]string{"-c", keep, "sh"}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if s.stop, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.await(); err != nil {
		words, _ := os.ReadFile(s.log)
		t.Fatalf("%v\n%s", err, words)
	}
}

func (s *Server) await() (err error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var conn net.Conn
		if conn, err = net.Dial("tcp", s.addr); err == nil {
			return conn.Close()
		}
	}
	return fmt.Errorf("%s does not listen: %w", s.args[0], err)
}
