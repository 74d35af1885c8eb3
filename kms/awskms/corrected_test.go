package awskms_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
)

// TestCorrectedSecretWasNotUsed: a secret was mistyped, the id of the access key
// was right, and the signer of the SDK went on with the key that it had derived
// from the wrong secret, until the next day.
func TestCorrectedSecretWasNotUsed(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(t *testing.T, s *awskmstest.Server, cfg *awskms.Config, path string, read aws.CredentialsProvider)
		heals bool // only the call after one that is refused takes the file as it is
	}{
		"CredentialsFile": {func(_ *testing.T, _ *awskmstest.Server, cfg *awskms.Config, path string, _ aws.CredentialsProvider) {
			cfg.CredentialsFile = path
		}, false},
		"Credentials": {func(_ *testing.T, _ *awskmstest.Server, cfg *awskms.Config, _ string, read aws.CredentialsProvider) {
			cfg.Credentials = read
		}, false},
		"RoleARN": {func(t *testing.T, s *awskmstest.Server, cfg *awskms.Config, path string, _ aws.CredentialsProvider) {
			cfg.CredentialsFile, cfg.RoleARN, cfg.Endpoint, cfg.HTTPClient = path, role, "", s.Client()
		}, false},
		"environment": {func(t *testing.T, _ *awskmstest.Server, cfg *awskms.Config, path string, _ aws.CredentialsProvider) {
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", path)
			cfg.AllowEnvironment = true
		}, true},
		"AWS": {func(_ *testing.T, _ *awskmstest.Server, cfg *awskms.Config, _ string, read aws.CredentialsProvider) {
			cfg.AWS = &aws.Config{Credentials: read}
		}, false},
		"Client": {func(_ *testing.T, s *awskmstest.Server, cfg *awskms.Config, _ string, read aws.CredentialsProvider) {
			cfg.Client = awssdk.New(awssdk.Options{Region: awskmstest.Region, BaseEndpoint: &s.URL, Credentials: read})
			cfg.Endpoint = ""
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			s := start(t)
			path := filepath.Join(t.TempDir(), "credentials")
			write := func(secret string) {
				if err := os.WriteFile(path, []byte(keyFile("default", awskmstest.AccessKeyID, secret)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			read := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				text, err := os.ReadFile(path)
				_, secret, _ := strings.Cut(string(text), "aws_secret_access_key = ")
				return aws.Credentials{AccessKeyID: awskmstest.AccessKeyID, SecretAccessKey: strings.TrimSpace(secret)}, err
			})
			write("mistyped-secret")
			cfg := awskms.Config{KeyID: s.CreateKey(), Endpoint: s.URL}
			c.set(t, s, &cfg, path, read)
			w := open(t, cfg)
			_, err := w.Wrap(t.Context(), secretKey, home)
			refused(t, err, kms.ErrUnauthenticated)
			write(awskmstest.SecretAccessKey)
			opens(t, w, wrap(t, w))
			if name == "RoleARN" {
				return // the role has credentials of its own now
			}

			// The other way: the secret in use is none any more.
			s.SetAccessKey(awskmstest.AccessKeyID, "another-secret")
			_, err = w.Wrap(t.Context(), secretKey, home)
			refused(t, err, kms.ErrUnauthenticated)
			write("another-secret")
			opens(t, w, wrap(t, w))

			// And where the file is there first, no call is lost.
			s.SetAccessKey(awskmstest.AccessKeyID, "a-third-secret")
			write("a-third-secret")
			if c.heals {
				_, err = w.Wrap(t.Context(), secretKey, home)
				refused(t, err, kms.ErrUnauthenticated)
			}
			opens(t, w, wrap(t, w))
		})
	}
}

// TestSignerOfTheHost: a client that signs in a way of its own goes on with it.
func TestSignerOfTheHost(t *testing.T) {
	s := start(t)
	own := &counting{}
	w := open(t, awskms.Config{KeyID: s.CreateKey(), Client: awssdk.New(awssdk.Options{
		Region: awskmstest.Region, BaseEndpoint: &s.URL, HTTPSignerV4: own,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: awskmstest.AccessKeyID, SecretAccessKey: awskmstest.SecretAccessKey}, nil
		}),
	})})
	opens(t, w, wrap(t, w))
	if own.n != 2 {
		t.Errorf("it signed %d of 2 requests", own.n)
	}
}

type counting struct{ n int }

func (c *counting) SignHTTP(ctx context.Context, creds aws.Credentials, r *http.Request, hash, service, region string, at time.Time, opts ...func(*v4.SignerOptions)) error {
	c.n++
	return v4.NewSigner().SignHTTP(ctx, creds, r, hash, service, region, at, opts...)
}
