package interop_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// A server is examples/server over a directory, in a process of its own.
type server struct {
	t       *testing.T
	program string
	dir     string
	stanza  string // the seal's, with %s where it may be disabled

	cmd   *exec.Cmd
	read  chan struct{} // closed once its log ended
	lines *lockedLog
	*api.Client
}

type lockedLog struct {
	sync.Mutex
	text strings.Builder
}

// newServer builds the program. Its stanza names a key in a file.
func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), program: filepath.Join(t.TempDir(), "server")}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", s.program, "./server")
	build.Dir = filepath.Join("..", "..", "examples")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	key := filepath.Join(s.dir, "kms.key")
	if err := os.WriteFile(key, []byte(hex.EncodeToString([]byte("thirty-two bytes for a test key!"))), 0o600); err != nil {
		t.Fatal(err)
	}
	s.stanza = fmt.Sprintf("seal \"static\" {\n  current_key_id = \"2026\"\n  current_key = \"file://%s\"\n  %%s\n}\n", filepath.ToSlash(key))
	t.Cleanup(s.stop)
	return s
}

var listening = regexp.MustCompile(`msg=listening address=(127\.0\.0\.1:[0-9]+)`)

// start runs it with these seal stanzas, and gives the client its new address.
func (s *server) start(seals string) {
	s.t.Helper()
	s.stop()
	config := filepath.Join(s.dir, "server.hcl")
	src := fmt.Sprintf("%s\nstorage \"file\" { path = %q }\nlistener \"tcp\" {\n  address = \"127.0.0.1:0\"\n  tls_disable = \"true\"\n}\n", seals, filepath.ToSlash(s.dir))
	if err := os.WriteFile(config, []byte(src), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(s.program, "-config", config)
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	address := make(chan string, 1)
	s.read, s.lines = make(chan struct{}), new(lockedLog)
	go s.follow(pipe, address)
	select {
	case a := <-address:
		s.connect("http://" + a)
	case <-s.read:
		s.t.Fatalf("the server ended:\n%s", s.log())
	case <-time.After(time.Minute):
		s.t.Fatal("the server does not listen")
	}
}

func (s *server) follow(log io.Reader, address chan<- string) {
	defer close(s.read)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		s.lines.Lock()
		s.lines.text.WriteString(lines.Text() + "\n")
		s.lines.Unlock()
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			address <- found[1]
		}
	}
}

func (s *server) log() string {
	s.lines.Lock()
	defer s.lines.Unlock()
	return s.lines.text.String()
}

func (s *server) connect(url string) {
	s.t.Helper()
	token := ""
	if s.Client != nil {
		token = s.Token()
	}
	config := api.DefaultConfig()
	config.Address, config.Timeout = url, 30*time.Second
	client, err := api.NewClient(config)
	if err != nil {
		s.t.Fatal(err)
	}
	client.SetToken(token)
	s.Client = client
}

// stop ends the process as an operator does, and waits until it has sealed.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	process := s.cmd.Process
	kill := time.AfterFunc(30*time.Second, func() { process.Kill() })
	process.Signal(syscall.SIGTERM)
	<-s.read
	err := s.cmd.Wait()
	kill.Stop()
	if err != nil || !strings.Contains(s.log(), "actor=shutdown") {
		s.t.Errorf("the server ended with %v, and did not seal:\n%s", err, s.log())
	}
	s.cmd = nil
}
