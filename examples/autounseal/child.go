package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// patience is how long the story waits for what it expects.
const patience = 2 * time.Minute

// A server is this program as a process of its own.
type server struct {
	cmd    *exec.Cmd
	url    string
	client *http.Client
}

// start starts a server, which is up when start returns: sealed or not.
func start(ctx context.Context, args ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.CommandContext(ctx, self, append([]string{"-addr", "127.0.0.1:0"}, args...)...), client: &http.Client{Timeout: 10 * time.Second}}
	var log strings.Builder
	s.cmd.Stderr = &log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.kill()
		return nil, fmt.Errorf("the server did not come up: %s", log.String())
	}
	s.url = strings.TrimSpace(line)
	return s, nil
}

// once runs this program to its end, and returns what it printed.
func once(ctx context.Context, args ...string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, self, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}

// kill is kill -9: the process has no chance to do anything.
func (s *server) kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	if err := s.cmd.Wait(); err == nil {
		return errors.New("the server was not killed")
	}
	return nil
}

// do makes a request, and returns the status and the body.
func (s *server) do(ctx context.Context, method, path, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// expect asks for a path until the answer has the status and the words.
func (s *server) expect(ctx context.Context, path string, want int, words ...string) (reason string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for last := ""; ; time.Sleep(100 * time.Millisecond) {
		code, body, err := s.do(ctx, http.MethodGet, path, "")
		if ctx.Err() != nil {
			return "", fmt.Errorf("%s: not %d with %q within %v, but %s", path, want, words, patience, last)
		}
		if err != nil {
			return "", err
		}
		last = fmt.Sprintf("%d %s", code, body)
		if code != want || !all(body, words) {
			continue
		}
		var answer struct{ Reason string }
		err = json.Unmarshal([]byte(body), &answer)
		return answer.Reason, err
	}
}

func all(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
