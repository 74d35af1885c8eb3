package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// files are those of a certificate.
type files struct{ cert, key string }

// write makes a certificate for this machine with a serial number, and returns
// the pool that trusts it alone.
func (f files) write(t *testing.T, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f.put(t, f.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	f.put(t, f.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return pool
}

// put replaces a file, at a time that differs from that of before.
func (f files) put(t *testing.T, path string, content []byte) {
	t.Helper()
	before := modified(path)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if !before.IsZero() {
		later := before.Add(time.Second)
		if err := os.Chtimes(path, later, later); err != nil {
			t.Fatal(err)
		}
	}
}

func tlsConfig(t *testing.T, dir string, f files) *config {
	t.Helper()
	src := fmt.Sprintf("storage \"file\" { path = %q }\nlistener \"tcp\" {\n  tls_cert_file = %q\n  tls_key_file = %q\n}\n", filepath.ToSlash(dir), filepath.ToSlash(f.cert), filepath.ToSlash(f.key))
	cfg, err := parseConfig([]byte(src), "test.hcl", nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// A log that may be read while it is written.
type safeLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *safeLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A client that verifies is served over TLS; a renewed certificate is served
// without a restart, which would seal; one that is half renewed is not.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	f := files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	first := f.write(t, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := &safeLog{}
	done := make(chan error, 1)
	go func() {
		done <- serve(ctx, tlsConfig(t, dir, f), listener, slog.New(slog.NewTextHandler(log, nil)))
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	serial := func(trust *x509.CertPool) (int64, error) {
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, DisableKeepAlives: true}}
		resp, err := client.Get("https://" + listener.Addr().String() + "/v1/sys/seal-status")
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.TLS.Version < tls.VersionTLS12 {
			return 0, fmt.Errorf("%s, TLS %x", resp.Status, resp.TLS.Version)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64(), nil
	}
	if n, err := serial(first); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := serial(x509.NewCertPool()); err == nil {
		t.Error("a client that trusts nobody was served")
	}
	if resp, err := http.Get("http://" + listener.Addr().String() + "/v1/sys/seal-status"); err != nil || resp.StatusCode != 400 {
		t.Errorf("without TLS: %v %v", resp, err)
	}

	second := f.write(t, 2)
	if n, err := serial(second); n != 2 || err != nil {
		t.Errorf("renewed: %d, %v", n, err)
	}
	if _, err := serial(first); err == nil {
		t.Error("the certificate of before is still there")
	}
	f.put(t, f.key, []byte("-----BEGIN PRIVATE KEY-----\n"))
	if n, err := serial(second); n != 2 || err != nil {
		t.Errorf("half renewed: %d, %v", n, err)
	}
	if !strings.Contains(log.String(), "the certificate of before goes on") {
		t.Errorf("nobody is told:\n%s", log)
	}
	third := f.write(t, 3)
	if n, err := serial(third); n != 3 || err != nil {
		t.Errorf("renewed in full: %d, %v", n, err)
	}
}

// What is wrong with the files is said at the start, with their names.
func TestTLSFiles(t *testing.T) {
	dir := t.TempDir()
	f := files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	f.write(t, 1)
	other := files{filepath.Join(dir, "other-cert.pem"), filepath.Join(dir, "other-key.pem")}
	other.write(t, 2)
	for words, f := range map[string]files{
		"private key does not match": {f.cert, other.key},
		"no such file":               {filepath.Join(dir, "none.pem"), f.key},
		"failed to find any PEM":     {f.cert, filepath.Join(dir, "empty")},
	} {
		if strings.HasSuffix(f.key, "empty") {
			f.put(t, f.key, nil)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		err = serve(t.Context(), tlsConfig(t, dir, f), l, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), f.cert) || !strings.Contains(err.Error(), f.key) {
			t.Errorf("%q: %v", words, err)
		}
		if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
			t.Error("it listens all the same")
		}
	}
}
