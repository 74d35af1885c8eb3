package transit_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/kms/transit/transittest"
)

// ca is a certificate authority whose files lie in a directory.
type ca struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T) *ca {
	t.Helper()
	c := &ca{dir: t.TempDir()}
	c.cert, c.key = c.issue(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return c
}

// issue writes name.pem and name.key. A certificate is good for an hour unless
// the template says otherwise.
func (c *ca) issue(t *testing.T, name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: name}
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := c.cert, c.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".pem": {Type: "CERTIFICATE", Bytes: der},
		name + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(c.file(file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func (c *ca) file(name string) string { return filepath.Join(c.dir, name) }

// serve starts a TLS server on a loopback address with the certificate "server".
func (c *ca) serve(t *testing.T, h http.Handler, change func(*tls.Config)) (address string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.file("server.pem"), c.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	if change != nil {
		change(server.TLS)
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func loopback() *x509.Certificate {
	return &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"vault.internal"}}
}

// config returns what reaches a server with the CA's certificates.
func (c *ca) config(vault *transittest.Server, address string) transit.Config {
	cfg := vault.Config("prod")
	cfg.Address, cfg.HTTPClient, cfg.CACert = address, nil, c.file("ca.pem")
	return cfg
}

func TestTLS(t *testing.T) {
	var vault transittest.Server
	c := newCA(t)
	c.issue(t, "server", loopback())
	cfg := c.config(&vault, c.serve(t, &vault, nil))
	w := open(t, cfg)
	blob := wrap(t, w)
	if got, err := w.Unwrap(t.Context(), blob, place); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("Unwrap: %v", err)
	}

	good := map[string]func(c *transit.Config){
		"a directory of CAs": func(cfg *transit.Config) { cfg.CACert, cfg.CAPath = "", c.dir },
		"both":               func(cfg *transit.Config) { cfg.CAPath = c.dir },
		"another name":       func(cfg *transit.Config) { cfg.ServerName = "vault.internal" },
		"no verification":    func(cfg *transit.Config) { cfg.CACert, cfg.SkipVerify = newCA(t).file("ca.pem"), true },
	}
	for name, change := range good {
		cfg := cfg
		change(&cfg)
		if _, err := open(t, cfg).Probe(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	// A server that is gone.
	down := cfg
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down.Address = "https://" + listener.Addr().String()
	listener.Close()
	_, err = open(t, down).Probe(t.Context())
	fails(t, err, kms.ErrUnavailable, "try again later: dial tcp 127.0.0.1:")

	// One that cuts the connection, as for a name that does not resolve.
	u, err := url.Parse(cfg.Address)
	if err != nil {
		t.Fatal(err)
	}
	plain := cfg
	plain.Address = "http://" + u.Host
	_, err = open(t, plain).Probe(t.Context())
	fails(t, err, kms.ErrMisconfigured, "HTTP 400 Bad Request")
}

func TestTLSRefuses(t *testing.T) {
	var vault transittest.Server
	now := time.Now()
	for name, test := range map[string]struct {
		template *x509.Certificate
		change   func(cfg *transit.Config)
		kind     error
		words    string
	}{
		"another CA":   {loopback(), func(cfg *transit.Config) { cfg.CACert = newCA(t).file("ca.pem") }, kms.ErrMisconfigured, "unknown authority"},
		"another name": {loopback(), func(cfg *transit.Config) { cfg.ServerName = "vault.example" }, kms.ErrMisconfigured, "certificate is valid for vault.internal, not vault.example"},
		"expired": {
			&x509.Certificate{IPAddresses: loopback().IPAddresses, NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}, nil,
			kms.ErrUnavailable, "expired",
		},
		"not valid yet": {
			&x509.Certificate{IPAddresses: loopback().IPAddresses, NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)}, nil,
			kms.ErrClockSkew, "set this machine's clock: clock off by 3",
		},
		"no server's": {
			&x509.Certificate{IPAddresses: loopback().IPAddresses, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, nil,
			kms.ErrMisconfigured, "incompatible key usage",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCA(t)
			c.issue(t, "server", test.template)
			cfg := c.config(&vault, c.serve(t, &vault, nil))
			if test.change != nil {
				test.change(&cfg)
			}
			_, err := open(t, cfg).Probe(t.Context())
			fails(t, err, test.kind, test.words)
			if strings.Contains(err.Error(), "https://") {
				t.Errorf("the error holds the URL: %v", err)
			}
		})
	}
}

// CA files were read once: a missing one ended the server although people could
// open it, and a rotated one was never read again.
func TestCAsAreReadForEachCall(t *testing.T) {
	var vault transittest.Server
	c := newCA(t)
	c.issue(t, "server", loopback())
	address := c.serve(t, &vault, nil)
	dir := t.TempDir()
	path := filepath.Join(dir, "ca.pem")
	file, directory := c.config(&vault, address), c.config(&vault, address)
	file.CACert = "file://" + path
	directory.CACert, directory.CAPath = "", dir
	probes := map[string]func() error{}
	for name, cfg := range map[string]transit.Config{"CACert": file, "CAPath": directory} {
		w := open(t, cfg)
		probes[name] = func() error {
			_, err := w.Probe(t.Context())
			return err
		}
	}
	put := func(from string) {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fails(t, probes["CACert"](), kms.ErrUnavailable, "CACert: file ")
	fails(t, probes["CAPath"](), kms.ErrMisconfigured, "it holds no certificate: CAPath")
	for name, probe := range probes {
		put(newCA(t).file("ca.pem"))
		fails(t, probe(), kms.ErrMisconfigured, "unknown authority")
		put(c.file("ca.pem"))
		if err := probe(); err != nil {
			t.Errorf("%s: a rotated CA was not read: %v", name, err)
		}
		put(c.file("server.key"))
		fails(t, probe(), kms.ErrMisconfigured, "it holds no certificate: "+name)
	}
}

func TestClientCertificate(t *testing.T) {
	var vault transittest.Server
	c := newCA(t)
	c.issue(t, "server", loopback())
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	address := c.serve(t, &vault, func(cfg *tls.Config) {
		cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, pool
	})
	cfg := c.config(&vault, address)
	_, err := open(t, cfg).Probe(t.Context())
	fails(t, err, kms.ErrUnauthenticated, "certificate required")

	cfg.ClientCert, cfg.ClientKey = c.file("client.pem"), c.file("client.key")
	w := open(t, cfg)
	_, err = w.Probe(t.Context())
	fails(t, err, kms.ErrUnauthenticated, "client certificate: ClientCert or ClientKey: file ")
	// The same Wrapper uses what is put there later.
	c.issue(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if _, err := w.Probe(t.Context()); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	c.issue(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	_, err = w.Probe(t.Context())
	fails(t, err, kms.ErrUnauthenticated, "bad certificate")
}

// TestPlainServer speaks TLS to a server that does not.
func TestPlainServer(t *testing.T) {
	var vault transittest.Server
	server := httptest.NewServer(&vault)
	defer server.Close()
	cfg := vault.Config("prod")
	cfg.HTTPClient, cfg.Address = nil, strings.Replace(server.URL, "http:", "https:", 1)
	_, err := open(t, cfg).Probe(t.Context())
	fails(t, err, kms.ErrMisconfigured, "HTTP response to HTTPS client")
	cfg.Address = server.URL
	wrap(t, open(t, cfg))
}
