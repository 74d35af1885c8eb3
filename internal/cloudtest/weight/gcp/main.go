// Gcp is the least server with a key in Google Cloud KMS.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"

	"github.com/sealwright/sealwright/internal/cloudtest/weight/least"
	"github.com/sealwright/sealwright/kms/gcpckms"
)

func main() {
	cloud := least.There()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(cloud.CA))
	w, err := gcpckms.New(gcpckms.Config{
		KeyID: cloud.Key, Endpoint: cloud.Address, CredentialsFile: filepath.Join(least.Directory(), "credentials.json"),
		TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	})
	least.Main(w, err)
}
