package handoff_test

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal/handoff"
)

// certificates runs the commands of docs/OPERATIONS.md that make them, after a change.
func certificates(t *testing.T, before, after string) (dir string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/OPERATIONS.md")
	must(t, err)
	_, block, _ := strings.Cut(string(page), "<!-- certificates: a test of seal/handoff runs it -->\n```\n")
	commands, _, ok := strings.Cut(block, "\n```\n")
	if !ok || !strings.Contains(commands, before) {
		t.Fatal("docs/OPERATIONS.md has no commands for the certificates of replicas, or other ones")
	}
	if commands = strings.ReplaceAll(commands, before, after); before != after {
		commands, _, _ = strings.Cut(commands, "openssl verify") // which finds it
	}
	dir = t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", commands)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// TestCertificatesOfTheRunbook: nothing said how the certificates of replicas are made.
// By those that the commands of docs/OPERATIONS.md make a replica gets the root key, by
// whatever address, and by others it does not: TLS says why, in the words of that page.
func TestCertificatesOfTheRunbook(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts processes")
	}
	for _, tool := range []string{"sh", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("skipped: no %s here", tool)
		}
	}
	right := certificates(t, "", "")
	for _, secret := range []string{"ca.key", "web-0.key"} {
		if info, err := os.Stat(filepath.Join(right, secret)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", secret, info, err)
		}
	}
	config := func(ca, dir, replica string) *tls.Config {
		pem, err := os.ReadFile(filepath.Join(ca, "ca.crt"))
		must(t, err)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, replica+".crt"), filepath.Join(dir, replica+".key"))
		must(t, err)
		return &tls.Config{
			Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, RootCAs: pool, ServerName: "web-peers",
		}
	}
	s, again := setScene(t, nil), certificates(t, "", "")
	changed := func(before, after string) string {
		if !testlevel.Whole() {
			return "" // each is a dozen programs
		}
		return certificates(t, before, after)
	}
	for name, tt := range map[string]struct {
		asked, asks  string // whose certificates are where
		trusts, lets string // the CAs that the one who asks, and who is asked, has; none: the other's
		says         string
	}{
		"right":                   {asked: right, asks: right},
		"by another CA":           {asked: right, asks: changed("replicas of web", "replicas of app"), lets: right, says: "certificate required"},
		"by another of that name": {asked: right, asks: again, lets: right, says: "unknown certificate authority"},
		"the asked is of another": {asked: again, asks: right, trusts: right, says: "signed by unknown authority"},
		"the asker is no client":  {asked: right, asks: changed(", clientAuth", ""), says: "bad certificate"},
		"the asked is no server":  {asked: changed("serverAuth, ", ""), asks: right, says: "incompatible key usage"},
		"not by the name of all":  {asked: changed(", DNS:web-peers", ""), asks: right, says: "certificate is valid for web-0, not web-peers"},
	} {
		if tt.asked == "" || tt.asks == "" {
			continue
		}
		url := serve(t, s.asked, config(cmp.Or(tt.lets, tt.asks), tt.asked, "web-0"))
		ask := func() error {
			return s.ask(t, "web-1", &handoff.Client{URLs: at(url), HTTP: &http.Client{Transport: &http.Transport{
				TLSClientConfig: config(cmp.Or(tt.trusts, tt.asked), tt.asks, "web-1"),
			}}})
		}
		// In TLS 1.3 a server refuses a client that writes already: what that meets first is
		// the server's words, or the end of the connection.
		err := ask()
		for range 50 {
			if err == nil || !strings.Contains(err.Error(), "broken pipe") && !strings.Contains(err.Error(), "connection reset") {
				break
			}
			err = ask()
		}
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
