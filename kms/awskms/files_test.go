package awskms_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
)

// behindTLS is a Server behind a certificate that can be replaced.
func behindTLS(t *testing.T, s *awskmstest.Server) (address string, serve func(tls.Certificate)) {
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	var now atomic.Pointer[tls.Certificate]
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		r.Out.Host = r.In.Host // it is signed
	}})
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*now.Load()}}, nil
	}}
	front.Config.SetKeepAlivesEnabled(false) // so that each request meets the present certificate
	front.StartTLS()
	t.Cleanup(front.Close)
	return front.URL, func(c tls.Certificate) { now.Store(&c) }
}

// authority returns a certificate for 127.0.0.1 that is its own CA, and its PEM.
func authority(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestCABundle: a CA that is not mounted yet is no reason not to start, and one
// that is replaced is believed from the next call on, named by a variable as well
// as by a profile.
func TestCABundle(t *testing.T) {
	for _, field := range []string{"AWS_CA_BUNDLE", "ca_bundle"} {
		t.Run(field, func(t *testing.T) {
			clean(t)
			s := start(t)
			address, serve := behindTLS(t, s)
			path := filepath.Join(t.TempDir(), "ca.pem")
			write := func(content string) {
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if field == "AWS_CA_BUNDLE" {
				t.Setenv("AWS_CA_BUNDLE", path)
			} else {
				file := filepath.Join(t.TempDir(), "config")
				if err := os.WriteFile(file, []byte("[default]\nca_bundle = "+path+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Setenv("AWS_CONFIG_FILE", file)
			}
			cfg := with(s, s.CreateKey())
			cfg.Endpoint, cfg.AllowEnvironment = address, true

			w := open(t, cfg) // though there is no file
			_, err := w.Wrap(t.Context(), secretKey, home)
			refused(t, err, kms.ErrMisconfigured, field+": file", path, "no such file")
			if w.Authenticates(&kms.Blob{Type: awskms.Type, KeyID: cfg.KeyID}) != true {
				t.Error("whether a blob is authentic hangs on a file")
			}

			write("no certificate")
			_, err = w.Wrap(t.Context(), secretKey, home)
			refused(t, err, kms.ErrMisconfigured)

			first, firstPEM := authority(t)
			serve(first)
			write(firstPEM)
			blob := wrap(t, w)
			opens(t, w, blob)

			second, secondPEM := authority(t)
			serve(second)
			_, err = w.Unwrap(t.Context(), blob, home)
			refused(t, err, kms.ErrUnavailable, "certificate")
			write(secondPEM)
			opens(t, w, blob)

			serve(first)
			_, err = w.Unwrap(t.Context(), blob, home)
			refused(t, err, kms.ErrUnavailable, "certificate") // it is not believed any more

			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			_, err = w.Unwrap(t.Context(), blob, home)
			refused(t, err, kms.ErrMisconfigured, field+": file", path)
		})
	}
}

// TestCAOfAProfileAndAnHTTPClient: New says so, in no words of internal types.
func TestCAOfAProfileAndAnHTTPClient(t *testing.T) {
	clean(t)
	s := start(t)
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("[default]\nca_bundle = /run/ca.pem\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	cfg := with(s, s.CreateKey())
	cfg.Endpoint, cfg.AllowEnvironment, cfg.HTTPClient = "", true, s.Client()
	_, err := awskms.New(cfg)
	refused(t, err, kms.ErrMisconfigured, "HTTPClient is set", "ca_bundle of the profile")
}

// TestProfileComesLater: what stands in the SDK's own files may come after New.
func TestProfileComesLater(t *testing.T) {
	clean(t)
	s := start(t)
	path := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", path)
	t.Setenv("AWS_REGION", awskmstest.Region)
	cfg := awskms.Config{KeyID: s.CreateKey(), Endpoint: s.URL, Profile: "app", AllowEnvironment: true}
	w := open(t, cfg)
	_, err := w.Wrap(t.Context(), secretKey, home)
	refused(t, err, kms.ErrMisconfigured, "environment", "profile, app")
	if err := os.WriteFile(path, []byte(keyFile("app", awskmstest.AccessKeyID, awskmstest.SecretAccessKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	opens(t, w, wrap(t, w))
}

// TestCredentialsAreAskedEachTime: an access key in files of the host's own, one
// value each, may be missing at the start, and replaced later.
func TestCredentialsAreAskedEachTime(t *testing.T) {
	clean(t)
	s := start(t)
	dir := t.TempDir()
	write := func(id, secret string) {
		for name, value := range map[string]string{"id": id, "secret": secret} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(context.Context) (creds aws.Credentials, err error) {
		id, err := os.ReadFile(filepath.Join(dir, "id"))
		if err != nil {
			return creds, fmt.Errorf("access_key: %w", err)
		}
		secret, err := os.ReadFile(filepath.Join(dir, "secret"))
		return aws.Credentials{AccessKeyID: string(id), SecretAccessKey: string(secret)}, err
	}
	for _, roleARN := range []string{"", role} {
		for _, name := range []string{"id", "secret"} {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
		cfg := awskms.Config{KeyID: s.CreateKey(), Endpoint: s.URL, RoleARN: roleARN, Credentials: aws.CredentialsProviderFunc(read), AllowEnvironment: true}
		w := open(t, cfg)
		_, err := w.Wrap(t.Context(), secretKey, home)
		refused(t, err, kms.ErrUnauthenticated, "credentials: ", "access_key", "no such file")
		write(awskmstest.AccessKeyID, awskmstest.SecretAccessKey)
		s.SetAccessKey(awskmstest.AccessKeyID, awskmstest.SecretAccessKey)
		blob := wrap(t, w)
		if roleARN != "" {
			continue // the role's own are kept for their time
		}
		s.SetAccessKey(awskmstest.AccessKeyID, "")
		s.SetAccessKey("AKIASECOND", "another-secret")
		write("AKIASECOND", "another-secret")
		opens(t, w, blob)
	}
	_, err := awskms.New(awskms.Config{KeyID: arn, Credentials: aws.CredentialsProviderFunc(read), CredentialsFile: "f"})
	refused(t, err, kms.ErrMisconfigured, "Credentials and CredentialsFile are both set")
}

// TestPathReferences: file:// and env:// on a path do what the writer means.
func TestPathReferences(t *testing.T) {
	clean(t)
	s := start(t)
	path := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(path, []byte(keyFile("default", awskmstest.AccessKeyID, awskmstest.SecretAccessKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEYS", path)
	key := s.CreateKey()
	for _, written := range []string{path, "file://" + path, "env://KEYS"} {
		cfg := awskms.Config{KeyID: key, Endpoint: s.URL, CredentialsFile: written, AllowEnvironment: strings.HasPrefix(written, "env://")}
		w := open(t, cfg)
		opens(t, w, wrap(t, w))
	}
	w := open(t, awskms.Config{KeyID: key, Endpoint: s.URL, CredentialsFile: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYcanaryKEY00"})
	_, err := w.Wrap(t.Context(), secretKey, home)
	refused(t, err, kms.ErrUnauthenticated, "CredentialsFile: file")
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error shows what stands in the field: %v", err)
	}
}
