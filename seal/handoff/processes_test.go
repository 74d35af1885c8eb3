package handoff_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/handoff"
)

var fleetSize = flag.Int("fleet", fleet(), "how many processes TestFleetOfProcesses starts")

// fleet is fewer where each process tests its cryptography first, for longer than all
// else that it does.
func fleet() int {
	if fips140.Enabled() {
		return 5
	}
	return 20
}

// TestMain is a replica where a test has started it as one.
func TestMain(m *testing.M) {
	if dir := os.Getenv("HANDOFF_REPLICA_DIR"); dir != "" {
		if err := replica(dir, os.Getenv("HANDOFF_REPLICA")); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// replica is one process of the fleet: it serves the hand-off over mutual TLS, finds
// the others by the files that they leave, which prove nothing, and does what it
// reads: "share TEXT", "rotate-root". It ends with its input.
func replica(dir, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls", name+".pem"), filepath.Join(dir, "tls", name+".pem"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "tls", "ca.pem"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	store, err := filestore.Open(filepath.Join(dir, "record"))
	if err != nil {
		return err
	}
	store.PollInterval = 200 * time.Millisecond
	peers := &handoff.Client{
		URLs: func(context.Context) ([]string, error) { return addresses(dir) },
		HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool}}},
	}
	b, err := seal.Open(seal.Config{Store: store, Replica: name, Peers: peers.Peers, Spread: 50 * time.Millisecond, Drill: -1})
	if err != nil {
		return err
	}
	defer b.Close()
	h, err := handoff.New(handoff.Config{Barrier: b, Authorize: byCertificate})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}}
	server.ErrorLog = nil
	go server.ServeTLS(l, "", "")
	defer server.Close()
	if err := os.WriteFile(filepath.Join(dir, "addresses", name), []byte("https://"+l.Addr().String()), 0o600); err != nil {
		return err
	}
	go b.Run(ctx)
	go func() { // tells its parent whatever changes
		for {
			changed := b.Admin().Changed()
			s := b.Status()
			fmt.Println("state", s.Sealed, s.Behind != nil, s.Generation)
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch what, rest, _ := strings.Cut(in.Text(), " "); what {
		case "share":
			s, err := seal.ParseShare(rest)
			if err != nil {
				return err
			}
			if _, err := b.Submit(ctx, s, seal.By{}); err != nil {
				return err
			}
		case "rotate-root":
			if err := b.Admin().RotateRoot(ctx, seal.By{}); err != nil {
				return err
			}
		}
	}
	return nil
}

func addresses(dir string) (urls []string, err error) {
	files, err := os.ReadDir(filepath.Join(dir, "addresses"))
	for _, f := range files {
		if text, err := os.ReadFile(filepath.Join(dir, "addresses", f.Name())); err == nil && len(text) > 0 {
			urls = append(urls, string(text))
		}
	}
	return urls, err
}

// A pod is a process of the fleet, as its parent sees it.
type pod struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser

	mu    sync.Mutex
	state string // the last that it told
}

func (p *pod) told() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

func startPod(t *testing.T, dir, name string) *pod {
	t.Helper()
	p := &pod{name: name, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), "HANDOFF_REPLICA_DIR="+dir, "HANDOFF_REPLICA="+name)
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	p.stdin, err = p.cmd.StdinPipe()
	must(t, err)
	must(t, p.cmd.Start())
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			p.mu.Lock()
			p.state = lines.Text()
			p.mu.Unlock()
		}
	}()
	return p
}

func (p *pod) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// until waits until all pods have told what is wanted.
func until(t *testing.T, pods []*pod, what string, ok func(state string) bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		waits := 0
		var one *pod
		for _, p := range pods {
			if !ok(p.told()) {
				waits++
				one = p
			}
		}
		switch {
		case waits == 0:
			return time.Since(begun)
		case time.Since(begun) > 3*time.Minute:
			t.Fatalf("%s: %d of %d do not, as %s, which says %q", what, waits, len(pods), one.name, one.told())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func isUp(state string) bool { return strings.HasPrefix(state, "state false false ") }

// TestFleetOfProcesses is guarantee 29 by true processes over mutual TLS: people give
// three shares to one, and the others come up; each that is killed comes back; a root
// key that one rotates reaches all. Processes with a certificate of another CA, and of
// something that is no replica, beside them, stay sealed.
func TestFleetOfProcesses(t *testing.T) {
	testlevel.NeedsWhole(t, "starts processes")
	dir := t.TempDir()
	ca, strangers := newAuthority(), newAuthority()
	must(t, os.Mkdir(filepath.Join(dir, "tls"), 0o700))
	must(t, os.Mkdir(filepath.Join(dir, "addresses"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "tls", "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), 0o600))
	issue := func(ca *authority, name string) {
		pair := ca.pair(name)
		key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
		must(t, err)
		text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
		must(t, os.WriteFile(filepath.Join(dir, "tls", name+".pem"), text, 0o600))
	}

	store, err := filestore.Open(filepath.Join(dir, "record"))
	must(t, err)
	maker, err := seal.Open(seal.Config{Store: store})
	must(t, err)
	d, err := maker.Init(t.Context(), map[string]seal.Spec{"people": seal.Shamir{Shares: 5, Threshold: 3}}, seal.By{})
	must(t, err)
	maker.Close()

	var pods, refused []*pod
	start := func(name string) *pod {
		p := startPod(t, dir, name)
		t.Cleanup(p.kill)
		return p
	}
	for i := range *fleetSize {
		name := fmt.Sprintf("web-%d", i)
		issue(ca, name)
		pods = append(pods, start(name))
	}
	issue(strangers, "web-evil")
	issue(ca, "db-0")
	refused = append(refused, start("web-evil"), start("db-0"))
	until(t, append(pods, refused...), "start", func(s string) bool { return s == "state true false 0" })

	for _, s := range d.Sets[0].Shares[:3] {
		_, err := io.WriteString(pods[0].stdin, "share "+s.Reveal()+"\n")
		must(t, err)
	}
	took := until(t, pods, "the ceremony", isUp)

	restarts := 0
	for i, p := range pods {
		p.kill()
		pods[i] = start(p.name)
		until(t, pods[i:i+1], "the restart", isUp)
		restarts++
	}
	state := pods[0].told()
	_, err = io.WriteString(pods[3%len(pods)].stdin, "rotate-root\n")
	must(t, err)
	until(t, pods, "another root key", func(s string) bool { return isUp(s) && s != state })
	for _, p := range refused {
		if !strings.HasPrefix(p.told(), "state true ") {
			t.Errorf("%s: %s", p.name, p.told())
		}
	}
	t.Logf("GUARANTEE 29 fleet-of-processes: ceremonies=1 replicas=%d up_in=%.1fs restarts=%d roots_followed=1 refused=all (%d of %d)", len(pods), took.Seconds(), restarts, len(refused), len(refused))
}
