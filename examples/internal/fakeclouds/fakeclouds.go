// Package fakeclouds runs Azure Key Vault, AWS KMS and Google Cloud KMS in this
// process, for the demonstrations of the examples: the true SDKs speak to them
// over loopback. Other processes reach them by a small file that they are given
// the path of. Nothing in them is protected.
package fakeclouds

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
)

// Clouds are the three, each with a key, and the files that their stanzas name.
type Clouds struct {
	Azure *azurekeyvaulttest.Server // its key is "unseal"
	AWS   *awskmstest.Server
	GCP   *gcpckmstest.Server // its key is "unseal"

	// Wire is how Azure is reached: unplug it, and nobody answers.
	Wire *Wire

	// File tells another process where the clouds are; see [Providers].
	File string

	AWSKey string // its ARN
	dir    string
}

// addresses is what [Clouds.File] holds.
type addresses struct {
	Azure string   // host:port
	Hosts []string // the names that lead there
	CAs   string   // PEM, of Azure and of Google
}

// Start starts the clouds, and writes their files to dir.
func Start(dir string) (*Clouds, error) {
	c := &Clouds{
		Azure: azurekeyvaulttest.NewServer(), AWS: awskmstest.NewServer(), GCP: gcpckmstest.NewServer(),
		File: filepath.Join(dir, "fakes.json"), dir: dir,
	}
	c.AWSKey = c.AWS.CreateKey()
	if err := c.prepare(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// unseal is Azure's key of that name, in all the clouds of a process: to make one
// takes longer than what most tests do with it.
var unseal = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func (c *Clouds) prepare() error {
	key, err := unseal()
	if err != nil {
		return err
	}
	c.Azure.Create("unseal", azurekeyvaulttest.KeyOptions{RSA: key})
	secret, err := c.Azure.Config("unseal").ClientSecret()
	if err != nil {
		return err
	}
	vault := strings.TrimPrefix(azurekeyvaulttest.VaultURL, "https://")
	transport := c.Azure.Client().Transport.(*http.Transport)
	azure, authority, err := look(transport, vault+":443")
	if err != nil {
		return err
	}
	if c.Wire, err = NewWire(azure); err != nil {
		return err
	}
	_, google, err := look(&http.Transport{TLSClientConfig: c.GCP.TLS()}, c.GCP.Endpoint())
	if err != nil {
		return err
	}
	file, err := json.Marshal(addresses{
		Azure: c.Wire.Addr(), Hosts: []string{vault, "login.microsoftonline.com"}, CAs: authority + google,
	})
	if err != nil {
		return err
	}
	return c.write(map[string][]byte{
		"fakes.json": file, "azure-secret": []byte(secret), "gcp.json": c.GCP.ServiceAccount(),
		"aws-credentials": fmt.Appendf(nil, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", awskmstest.AccessKeyID, awskmstest.SecretAccessKey),
	})
}

func (c *Clouds) write(files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Close stops the clouds.
func (c *Clouds) Close() {
	if c.Wire != nil {
		c.Wire.Unplug()
	}
	c.Azure.Close()
	c.AWS.Close()
	c.GCP.Close()
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

// AzureStanza returns the stanza that opens with the key in Azure, with more
// lines at its end.
func (c *Clouds) AzureStanza(more ...string) string {
	return stanza("azurekeyvault", append([]string{
		field("tenant_id", azurekeyvaulttest.TenantID), field("client_id", azurekeyvaulttest.ClientID),
		field("client_secret", "file://"+c.path("azure-secret")),
		field("vault_name", "sealwright"), field("key_name", "unseal"),
	}, more...))
}

// AWSStanza is the same for AWS.
func (c *Clouds) AWSStanza(more ...string) string {
	return stanza("awskms", append([]string{
		field("kms_key_id", c.AWSKey), field("endpoint", c.AWS.URL), field("shared_creds_filename", c.path("aws-credentials")),
	}, more...))
}

// GCPStanza is the same for Google Cloud.
func (c *Clouds) GCPStanza(more ...string) string {
	key := strings.Split(c.GCP.KeyID("unseal"), "/") // projects/P/locations/L/keyRings/R/cryptoKeys/K
	return stanza("gcpckms", append([]string{
		field("project", key[1]), field("region", key[3]), field("key_ring", key[5]), field("crypto_key", key[7]),
		field("credentials", c.path("gcp.json")), field("endpoint", c.GCP.Endpoint()),
	}, more...))
}

func (c *Clouds) path(name string) string { return filepath.ToSlash(filepath.Join(c.dir, name)) }

func field(name, value string) string { return fmt.Sprintf("%-21s = %q", name, value) }

func stanza(typ string, lines []string) string {
	return fmt.Sprintf("seal %q {\n  %s\n}\n", typ, strings.Join(lines, "\n  "))
}
