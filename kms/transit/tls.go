package transit

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// roots returns the CAs in CACert and CAPath, or nil, which means the system's.
func (c *Config) roots() (*x509.CertPool, error) {
	var files []string
	if c.CACert != "" {
		files = append(files, c.CACert)
	}
	if c.CAPath != "" {
		entries, err := os.ReadDir(c.CAPath)
		if err != nil {
			return nil, fmt.Errorf("CAPath: %w", err)
		}
		for _, e := range entries {
			name := filepath.Join(c.CAPath, e.Name())
			if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() { // links too, as c_rehash makes them
				files = append(files, name)
			}
		}
	}
	if c.CACert == "" && c.CAPath == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	found := false
	for _, name := range files {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("CA file: %w", err)
		}
		if pool.AppendCertsFromPEM(pem) {
			found = true
		} else if name == c.CACert {
			return nil, fmt.Errorf("CACert %q holds no certificate", name)
		}
	}
	if !found {
		return nil, errors.New("CAPath holds no certificate")
	}
	return pool, nil
}

// clientCertError says that the client certificate cannot be used.
type clientCertError struct{ err error }

func (e *clientCertError) Error() string { return "client certificate: " + e.err.Error() }
func (e *clientCertError) Unwrap() error { return e.err }
