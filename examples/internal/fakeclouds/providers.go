package fakeclouds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"

	"github.com/sealwright/sealwright/kms/awskms/awsseal"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azureseal"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpseal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// Providers returns the providers of the three clouds: the true ones, or with
// the file of a [Clouds] those that lead there. Nothing but the way differs.
func Providers(file string) ([]sealconf.Provider, error) {
	if file == "" {
		return []sealconf.Provider{azureseal.Provider(nil), awsseal.Provider(nil), gcpseal.Provider(nil)}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var a addresses
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(a.CAs)) {
		return nil, fmt.Errorf("%s holds no certificates", file)
	}
	// The fakes' curve and kept sessions make handshakes cheap.
	trust := &tls.Config{
		RootCAs: roots, MinVersion: tls.VersionTLS12,
		CurvePreferences: []tls.CurveID{tls.CurveP256}, ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	toAzure := &http.Client{Transport: &http.Transport{DialContext: a.dial, TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}}
	return []sealconf.Provider{
		azureseal.Provider(func(c *azurekeyvault.Config) { c.ClientOptions.Transport = toAzure }),
		awsseal.Provider(nil), // the stanza has the endpoint
		gcpseal.Provider(func(c *gcpckms.Config) { c.TLS = trust.Clone() }),
	}, nil
}

// dial leads the names of Azure that there are to the fake.
func (a addresses) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(a.Hosts, host) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	}
	return new(net.Dialer).DialContext(ctx, network, a.Azure)
}
