package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealwright/sealwright/internal/cloudtest/weight/least"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
	"github.com/sealwright/sealwright/kms/localkms"
)

// prepare writes to the directory what the program of that name needs, and
// starts its cloud.
func prepare(program, dir string) (stop func(), err error) {
	nothing := func() {}
	switch program {
	case "core":
		return nothing, localkms.Create(context.Background(), filepath.Join(dir, "kms.key"))
	case "azure":
		s := azurekeyvaulttest.NewServer()
		secret, err := s.Config("unseal").ClientSecret()
		if err != nil {
			return s.Close, err
		}
		vault := strings.TrimPrefix(azurekeyvaulttest.VaultURL, "https://")
		addr, ca, err := look(s.Client().Transport.(*http.Transport), vault+":443")
		if err != nil {
			return s.Close, err
		}
		return s.Close, write(dir, least.Cloud{Address: addr, CA: ca, Key: "unseal", Secret: secret})
	case "gcp":
		s := gcpckmstest.NewServer()
		_, ca, err := look(&http.Transport{TLSClientConfig: s.TLS()}, s.Endpoint())
		if err != nil {
			return s.Close, err
		}
		if err := os.WriteFile(filepath.Join(dir, "credentials.json"), s.ServiceAccount(), 0o600); err != nil {
			return s.Close, err
		}
		return s.Close, write(dir, least.Cloud{Address: s.Endpoint(), CA: ca, Key: s.KeyID("unseal")})
	}
	s := awskmstest.NewServer()
	return s.Close, write(dir, least.Cloud{Address: s.URL, Key: s.CreateKey(), Secret: awskmstest.SecretAccessKey})
}

func write(dir string, c least.Cloud) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "cloud.json"), text, 0o600)
}

// look returns where an address leads to, and the certificate found there.
func look(t *http.Transport, addr string) (to, certificate string, err error) {
	dial := t.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(context.Background(), "tcp", addr)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	cfg := t.TLSClientConfig.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(addr)
	}
	secured := tls.Client(conn, cfg)
	if err := secured.Handshake(); err != nil {
		return "", "", err
	}
	leaf := secured.ConnectionState().PeerCertificates[0]
	return conn.RemoteAddr().String(), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})), nil
}
