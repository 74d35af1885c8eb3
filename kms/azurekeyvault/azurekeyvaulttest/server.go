// Package azurekeyvaulttest is Azure Key Vault, Managed HSM and Microsoft Entra
// ID in memory: it speaks their HTTP over TLS on a loopback address, so that a
// test can use an [azurekeyvault.Wrapper] or Microsoft's own client without a
// cloud. It is not for production: whoever can read its source can forge its
// tokens.
//
// # Configuration
//
// [Server.Config] is all that a Wrapper of an RSA key needs, [Server.HSMConfig]
// of an AES key in a Managed HSM. Keys are called by short names, and created
// when they are first named. [Server.Client] sends every request to Azure's own
// names to the Server, and nothing anywhere else; the Server's certificate has
// these names, so that clients verify all that they verify with Azure.
//
// # Permissions
//
// A request needs a token that the Server's Entra ID issued to its one
// application, for the domain of the vault, or that its managed identity got.
// There are no roles; [kmstest.Denied] stands for them.
//
// # Limits
//
// Of the vault there are WrapKey, UnwrapKey, GetKey and GetDeletedKey, and
// Encrypt and Decrypt in a Managed HSM. Of Entra ID there is the grant of client
// credentials by secret, certificate and federated token. Of the machine there
// is the token endpoint of the instance metadata service.
//
// # Errors
//
// They have the status, codes and words that Azure has been seen to use. The
// faults are those of package kmstest, with these differences: NoDNS cuts the
// connection, since a server cannot have it ([Server.Cut] can); BadCRC damages
// the JSON of the answer; Recreated and AliasMoved are a version that is not
// found, since Azure asks for nothing else. A client sends a request again that
// ended with 401, so that those count twice.
package azurekeyvaulttest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// The one application that the Server's Entra ID knows, and its tenant.
const (
	TenantID = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	ClientID = "11111111-2222-3333-4444-555555555555"
)

// The vault and Managed HSM that keys are created in, unless [Server.Create]
// says otherwise.
const (
	VaultURL = "https://sealwright.vault.azure.net"
	HSMURL   = "https://sealwright.managedhsm.azure.net"
)

// metadata is the address of the instance metadata service.
const metadata = "169.254.169.254"

// clouds are the domains of vaults, and the authority of each.
var clouds = [...]struct{ domain, authority string }{
	{"vault.azure.net", "login.microsoftonline.com"},
	{"managedhsm.azure.net", "login.microsoftonline.com"},
	{"vault.azure.cn", "login.chinacloudapi.cn"},
	{"managedhsm.azure.cn", "login.chinacloudapi.cn"},
	{"vault.usgovcloudapi.net", "login.microsoftonline.us"},
	{"managedhsm.usgovcloudapi.net", "login.microsoftonline.us"},
	{"vault.sealwright.example", "login.sealwright.example"}, // a private cloud
}

// A Server is an Azure. It is safe for concurrent use.
type Server struct {
	tls, plain *httptest.Server
	client     *http.Client
	closed     chan struct{}

	mu        sync.Mutex
	keys      map[string]*key // by short name
	made      map[string]int  // versions, by the same
	script    func(kmstest.Call) kmstest.Fault
	calls     int
	intercept func(http.ResponseWriter, *http.Request) bool
	requests  []Request
	cut       error
	conns     map[net.Conn]bool
	skew      time.Duration
	wrapped   []byte // the last plaintext that was wrapped

	secret      string
	certificate *x509.Certificate
	federated   string
	identities  []string
	generation  int // of valid tokens
	lifetime    time.Duration
}

// A Request is one that reached the Server, whether it was refused or not.
type Request struct {
	Method string
	Host   string
	Path   string
	Header http.Header
}

// NewServer starts a Server. The caller closes it. It panics where no loopback
// address can be had, as [httptest.NewServer] does.
func NewServer() *Server {
	s := &Server{
		closed: make(chan struct{}),
		keys:   make(map[string]*key),
		made:   make(map[string]int),
		conns:  make(map[net.Conn]bool),
		secret: "client-secret-of-the-fake~1",

		lifetime: time.Hour,
	}
	cert, roots := certificate()
	s.tls = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	curves := []tls.CurveID{tls.CurveP256} // the cheapest
	s.tls.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, CurvePreferences: curves}
	s.tls.EnableHTTP2 = true
	s.tls.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that Cut closes
	s.tls.StartTLS()
	s.plain = httptest.NewServer(http.HandlerFunc(s.serve))
	s.client = &http.Client{
		Transport: &http.Transport{
			DialContext:       s.dial,
			TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, CurvePreferences: curves},
			ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// Close stops the Server, and waits for the requests it is still answering.
func (s *Server) Close() {
	close(s.closed)
	s.client.CloseIdleConnections()
	for _, h := range []*httptest.Server{s.tls, s.plain} {
		h.CloseClientConnections()
		h.Close()
	}
}

// Client returns the client whose requests to Azure end at the Server.
func (s *Server) Client() *http.Client { return s.client }

// Config returns what a Wrapper of the key needs, with the application's present
// secret. The key is RSA-2048 in VaultURL, unless it was created otherwise.
func (s *Server) Config(name string) azurekeyvault.Config {
	return s.config(name, KeyOptions{})
}

// HSMConfig is the same with an AES-256 key in HSMURL, and A256GCM.
func (s *Server) HSMConfig(name string) azurekeyvault.Config {
	return s.config(name, KeyOptions{VaultURL: HSMURL})
}

func (s *Server) config(name string, o KeyOptions) azurekeyvault.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[name]
	if k == nil {
		k = s.create(name, o)
	}
	secret := s.secret
	c := azurekeyvault.Config{
		KeyName:      name,
		VaultURL:     "https://" + k.host,
		TenantID:     TenantID,
		ClientID:     ClientID,
		ClientSecret: func() (string, error) { return secret, nil },
	}
	if !k.rsa() {
		c.Algorithm = azurekeyvault.A256GCM
	}
	c.ClientOptions.Transport = s.client
	if _, authority := cloudOf(k.host); authority == "login.sealwright.example" {
		c.ClientOptions.Cloud.ActiveDirectoryAuthorityHost = "https://" + authority + "/"
	}
	return c
}

// Script lets a function decide what happens to every authenticated request to
// a vault from now on; nil ends it. It is called before the vault does anything,
// and may use the Server. The Call has the short name of the key.
func (s *Server) Script(script func(kmstest.Call) kmstest.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Intercept puts a handler in front of everything, for what no Fault describes.
// It returns false for requests that it leaves to the Server, having only read
// their heads. nil takes it away.
func (s *Server) Intercept(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Cut closes all connections of [Server.Client], and lets new ones fail with
// err. nil ends it.
func (s *Server) Cut(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = err
	for c := range s.conns {
		c.Close()
	}
}

// Skew sets how far the Server's clock is ahead of the machine's.
func (s *Server) Skew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

func (s *Server) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.skew)
}

// Requests returns what reached the Server, in the order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	s.mu.Lock()
	s.requests = append(s.requests, Request{r.Method, r.Host, r.URL.Path, r.Header.Clone()})
	intercept := s.intercept
	s.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	domain, authority := cloudOf(r.Host)
	switch {
	case domain != "":
		s.serveVault(w, r, domain, authority)
	case r.Host == metadata:
		s.serveMetadata(w, r)
	default:
		s.serveEntra(w, r)
	}
}

// cloudOf returns the domain and the authority of a vault's host, or nothing.
func cloudOf(host string) (domain, authority string) {
	_, domain, _ = strings.Cut(host, ".")
	for _, c := range clouds {
		if c.domain == domain {
			return c.domain, c.authority
		}
	}
	return "", ""
}

// dial leads Azure's names to the Server.
func (s *Server) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	to := ""
	if host == metadata {
		to = s.plain.Listener.Addr().String()
	}
	for _, c := range clouds {
		if strings.HasSuffix(host, "."+c.domain) || host == c.authority {
			to = s.tls.Listener.Addr().String()
		}
	}
	s.mu.Lock()
	cut := s.cut
	s.mu.Unlock()
	switch {
	case cut != nil:
		return nil, cut
	case to == "":
		return nil, &net.DNSError{Err: "azurekeyvaulttest: no such host", Name: host, IsNotFound: true}
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err == nil {
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
	}
	return conn, err
}

// certificate returns a certificate with Azure's names, and the roots it needs.
func certificate() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // never, of this curve
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "azurekeyvaulttest"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, c := range clouds {
		template.DNSNames = append(template.DNSNames, "*."+c.domain, c.authority)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err) // never, of this template
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err) // never, of what was just made
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // it fails only when the client has gone
}
