//go:build unix

package kubeserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealwright/sealwright/internal/etcdtest"
	"github.com/sealwright/sealwright/internal/freeport"
)

// ErrNoServer says why no API server is run here.
var ErrNoServer = errors.New("no kube-apiserver in the user's cache: build one by GOWORK=off go run ./kube/apiserver, in 10 to 30 minutes")

// A Server is a running API server, on loopback, with role-based access control.
type Server struct {
	URL  string
	dir  string
	etcd *etcdtest.Cluster
	args []string
	pool *x509.CertPool
	cmd  *exec.Cmd
	stop io.WriteCloser // its end stops the server, also when this process is killed
}

// The users who have a token, which is their name.
const (
	Admin = "admin" // may do everything
	Pod   = "pod"   // may do what a Role says
)

// Start starts an API server with an etcd of its own, or returns [ErrNoServer] or
// [etcdtest.ErrNoServer]. It must be closed, and ends at the latest with this process.
func Start() (s *Server, err error) {
	program, err := Path()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(program); err != nil {
		return nil, ErrNoServer
	}
	s = &Server{}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.etcd, err = etcdtest.Start(1); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "sealwright-kube"); err != nil {
		return nil, err
	}
	address, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	s.URL = "https://127.0.0.1:" + port
	key, err := writeKey(filepath.Join(s.dir, "accounts.key"))
	if err != nil {
		return nil, err
	}
	tokens := filepath.Join(s.dir, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(Admin+",admin,1,system:masters\n"+Pod+",pod,2\n"), 0o600); err != nil {
		return nil, err
	}
	s.args = []string{program, "--etcd-servers=http://" + s.etcd.Endpoints()[0], "--bind-address=127.0.0.1", "--secure-port=" + port,
		"--cert-dir=" + filepath.Join(s.dir, "tls"), "--token-auth-file=" + tokens, "--authorization-mode=RBAC",
		"--service-account-issuer=https://test.invalid", "--service-account-key-file=" + key, "--service-account-signing-key-file=" + key,
		"--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount", "--profiling=false"}
	return s, s.Run()
}

func writeKey(path string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

// Run starts the server, as after a Crash, and waits until it is ready.
func (s *Server) Run() (err error) {
	const keep = `trap : INT TERM HUP; "$@" & server=$!; read word; kill -KILL $server; wait $server`
	s.cmd = exec.Command("/bin/sh", append([]string{"-c", keep, "sh"}, s.args...)...)
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if s.stop, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for {
		if ca, err := os.ReadFile(filepath.Join(s.dir, "tls", "apiserver.crt")); err == nil {
			s.pool = x509.NewCertPool()
			s.pool.AppendCertsFromPEM(ca)
			if code, _, err := s.Do(ctx, "GET", "/readyz", ""); err == nil && code == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("kube-apiserver is not ready: %w\n%.4000s", ctx.Err(), log)
		}
	}
}

// Client returns a client of a user.
func (s *Server) Client(user string) *http.Client {
	return &http.Client{Transport: bearer{user, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pool}}}}
}

// Kubectl returns a command of kubectl, for whoever has a token.
func (s *Server) Kubectl(ctx context.Context, token string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--kubeconfig=" + os.DevNull, "--cache-dir=" + filepath.Join(s.dir, "kubectl"),
		"--server=" + s.URL, "--certificate-authority=" + filepath.Join(s.dir, "tls", "apiserver.crt"), "--token=" + token}, args...)...)
	cmd.Env = append(os.Environ(), "KUBERC=off")
	return cmd
}

type bearer struct {
	token string
	http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.RoundTripper.RoundTrip(r)
}

// Do asks for something as the admin, and returns the answer's code and body.
func (s *Server) Do(ctx context.Context, method, path, body string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	client := s.Client(Admin)
	defer client.CloseIdleConnections()
	answer, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	return answer.StatusCode, raw, err
}

// Crash kills the server; what it stored is in its etcd.
func (s *Server) Crash() {
	s.stop.Close()
	s.cmd.Wait()
	s.stop = nil
}

// Close stops the server and its etcd, and removes all they stored.
func (s *Server) Close() {
	if s.stop != nil {
		s.Crash()
	}
	if s.etcd != nil {
		s.etcd.Close()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}
