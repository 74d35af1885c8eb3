package cloudtest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
)

// A signature or a token that is refused because this machine's clock is wrong
// is never called denied: each cloud's error says by how much the clock is off.
func TestClockOff(t *testing.T) {
	azure, aws, gcp := azurekeyvaulttest.NewServer(), awskmstest.NewServer(), gcpckmstest.NewServer()
	t.Cleanup(func() { azure.Close(); aws.Close(); gcp.Close() })
	file, certificate := signingCertificate(t)
	azure.SetCertificate(certificate)
	inAzure := azure.Config("unseal") // a client secret signs nothing
	inAzure.ClientSecret, inAzure.CertificateFile = nil, file
	key := aws.CreateKey()
	clouds := map[string]struct {
		skew func(time.Duration) // of the cloud's clock
		open func() (kms.Wrapper, error)
	}{
		"azurekeyvault": {azure.Skew, func() (kms.Wrapper, error) { return azurekeyvault.New(inAzure) }},
		"awskms": {func(d time.Duration) { aws.Inject(awskmstest.Fault{Skew: d}) }, func() (kms.Wrapper, error) {
			return awskms.New(awskms.Config{KeyID: key, Endpoint: aws.URL, AccessKeyID: awskmstest.AccessKeyID, SecretAccessKey: awskmstest.SecretAccessKey})
		}},
		"gcpckms": {gcp.Skew, func() (kms.Wrapper, error) {
			credentials := filepath.Join(t.TempDir(), "gcp.json")
			if err := os.WriteFile(credentials, gcp.ServiceAccount(), 0o600); err != nil {
				return nil, err
			}
			cfg := gcp.Config("unseal")
			cfg.Token, cfg.CredentialsFile = nil, credentials
			return gcpckms.New(cfg)
		}},
	}
	tried, wrong := 0, 0
	for name, c := range clouds {
		for _, skew := range []time.Duration{-24 * time.Hour, -time.Hour, 0, time.Hour, 24 * time.Hour} {
			c.skew(skew)
			w, err := c.open()
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Wrap(t.Context(), bytes.Repeat([]byte{1}, 32), kms.Binding{Store: "s", Slot: "a"})
			tried++
			if off, ok := offBy(err); skew == 0 && err == nil || skew != 0 && ok && (off-skew.Abs()).Abs() < 5*time.Minute {
				continue
			}
			wrong++
			t.Errorf("%s, off by %v: %v", name, skew, err)
		}
	}
	t.Logf("GUARANTEE 24 clock-off: clouds=%d tried=%d wrong=%d", len(clouds), tried, wrong)
}

var clockOff = regexp.MustCompile(`clock off by (\d+) s`)

// offBy returns what an error of the clock says that it is off by.
func offBy(err error) (time.Duration, bool) {
	if !errors.Is(err, kms.ErrClockSkew) || errors.Is(err, kms.ErrDenied) {
		return 0, false
	}
	said := clockOff.FindStringSubmatch(err.Error())
	if said == nil {
		return 0, false
	}
	seconds, err := strconv.Atoi(said[1])
	return time.Duration(seconds) * time.Second, err == nil
}

// signingCertificate returns a file with a certificate and its key.
func signingCertificate(t *testing.T) (string, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "unseal"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	file := filepath.Join(t.TempDir(), "app.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, certificate
}
