package gcpckms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/compute/metadata"
	"github.com/sealwright/sealwright/kms"
)

// scopes are those that Google's own client of the KMS asks for.
func scopes() []string {
	return []string{"https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/cloudkms"}
}

// An identity is a credentials file understood.
type identity struct {
	tokens       auth.TokenProvider // which caches
	quotaProject string
}

// A credentialsFile is what is looked at before Google's library sees it.
type credentialsFile struct {
	Type     credentials.CredType `json:"type"`
	Universe string               `json:"universe_domain"`
	Quota    string               `json:"quota_project_id"`
	Inner    *credentialsFile     `json:"source_credentials"` // of who impersonates
	Source   struct {
		Environment string          `json:"environment_id"`
		Executable  json.RawMessage `json:"executable"`
		Certificate struct {
			Default bool `json:"use_default_certificate_config"`
		} `json:"certificate"`
	} `json:"credential_source"`
}

// readsEnvironment reports whether the library would read variables, or run a
// program, to use the file.
func (f *credentialsFile) readsEnvironment() bool {
	return f.Source.Environment != "" || len(f.Source.Executable) > 0 || f.Source.Certificate.Default ||
		f.Inner != nil && f.Inner.readsEnvironment()
}

// understand turns a credentials file into an identity, or nil into that of the
// metadata server. A *failure is one that no retry and no other token heals.
func (s *source) understand(content []byte) (*identity, error) {
	quiet := slog.New(slog.DiscardHandler) // the library can log tokens
	if content == nil {
		client := metadata.NewWithOptions(&metadata.Options{Client: s.client, Logger: quiet})
		return &identity{tokens: auth.NewCachedTokenProvider(metadataTokens{client}, &auth.CachedTokenProviderOptions{DisableAsyncRefresh: true})}, nil
	}
	var file credentialsFile
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("not a JSON credentials file: %w", err)
	}
	unfit := func(format string, args ...any) (*identity, error) {
		return nil, &failure{kind: kms.ErrMisconfigured, text: "credentials " + fmt.Sprintf(format, args...)}
	}
	switch file.Type {
	case credentials.ServiceAccount, credentials.ExternalAccount, credentials.ImpersonatedServiceAccount, credentials.AuthorizedUser:
	default:
		return unfit("of type %s: use service_account, external_account, impersonated_service_account or authorized_user", quote(string(file.Type)))
	}
	if s.googleapis && file.Universe != "" && file.Universe != "googleapis.com" {
		return unfit("of the universe %s: set Endpoint to its KMS", quote(file.Universe))
	}
	if file.readsEnvironment() && !s.environment {
		return unfit("whose credential_source reads the environment or runs a program: set AllowEnvironment")
	}
	c, err := credentials.NewCredentialsFromJSON(file.Type, content, &credentials.DetectOptions{
		Scopes:              scopes(),
		UseSelfSignedJWT:    true, // one party less to reach
		DisableAsyncRefresh: true, // no goroutine left behind
		Client:              s.client,
		Logger:              quiet,
	})
	if err != nil {
		return nil, err
	}
	return &identity{tokens: c, quotaProject: file.Quota}, nil
}

// metadataTokens asks the metadata server for the tokens of the machine, or of
// the pod. The library's own way there first finds out whether there is a
// server, and keeps the answer for good, also when the network was not up yet.
type metadataTokens struct{ client *metadata.Client }

func (m metadataTokens) Token(ctx context.Context) (*auth.Token, error) {
	answer, err := m.client.GetWithContext(ctx, "instance/service-accounts/default/token?scopes="+url.QueryEscape(strings.Join(scopes(), ",")))
	if err != nil {
		return nil, err
	}
	var t struct {
		Token   string `json:"access_token"`
		Seconds int    `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(answer), &t); err != nil || t.Token == "" || t.Seconds <= 0 {
		return nil, errors.New("what the metadata server answered is no token")
	}
	return &auth.Token{Value: t.Token, Expiry: time.Now().Add(time.Duration(t.Seconds) * time.Second)}, nil
}
