package transit

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/internal/pathfield"
)

// roots returns the CAs in CACert and CAPath, or nil, which means the system's.
func (c *Config) roots() (*x509.CertPool, error) {
	if c.CACert == "" && c.CAPath == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	found := false
	if c.CACert != "" {
		pem, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, pathfield.Error("CACert", c.CACert, err)
		}
		if found = pool.AppendCertsFromPEM(pem); !found {
			return nil, fmt.Errorf("%w: CACert %s", errNoCertificate, pathfield.Show(c.CACert))
		}
	}
	if c.CAPath != "" {
		entries, err := os.ReadDir(c.CAPath)
		if err != nil {
			return nil, pathfield.Error("CAPath", c.CAPath, err)
		}
		for _, e := range entries {
			name := filepath.Join(c.CAPath, e.Name())
			if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() { // links too, as c_rehash makes them
				continue
			}
			pem, err := os.ReadFile(name)
			if err != nil {
				return nil, pathfield.Error("CAPath", name, err)
			}
			found = pool.AppendCertsFromPEM(pem) || found
		}
	}
	if !found {
		return nil, fmt.Errorf("%w: CAPath %s", errNoCertificate, pathfield.Show(c.CAPath))
	}
	return pool, nil
}

var errNoCertificate = errors.New("it holds no certificate")

// clientCertError says that the client certificate cannot be used.
type clientCertError struct{ err error }

func (e *clientCertError) Error() string { return "client certificate: " + e.err.Error() }
func (e *clientCertError) Unwrap() error { return e.err }
