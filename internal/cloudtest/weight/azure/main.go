// Azure is the least server with a key in Azure Key Vault.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"

	"github.com/sealwright/sealwright/internal/cloudtest/weight/least"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
)

// The fake's tenant and application, whose package would add to the weight.
const (
	tenant      = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	application = "11111111-2222-3333-4444-555555555555"
)

func main() {
	cloud := least.There()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(cloud.CA))
	cfg := azurekeyvault.Config{
		VaultName: "sealwright", KeyName: cloud.Key, TenantID: tenant, ClientID: application,
		ClientSecret: func() (string, error) { return cloud.Secret, nil },
	}
	cfg.ClientOptions.Transport = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, cloud.Address)
		},
	}}
	w, err := azurekeyvault.New(cfg)
	least.Main(w, err)
}
