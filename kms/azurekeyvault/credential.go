package azurekeyvault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/provider"
)

// A credential gets tokens from the SDK's own credential, which it makes anew
// when the secret it was made of has changed, or when a token was refused. The
// SDK's would use the old secret until the process ends.
type credential struct {
	auth   Auth
	tenant string // the configured one, or ""
	load   func() (secret []byte, err error)
	build  func(secret []byte) (azcore.TokenCredential, error)

	mu      sync.Mutex
	sum     [sha256.Size]byte // of the secret that current was made of
	current azcore.TokenCredential
}

// newCredential chooses how to get tokens. The SDK need not ask Microsoft whether
// the authority is genuine: it is a constant, or the host's own.
func newCredential(c Config, where cloud.Configuration) *credential {
	cred := &credential{auth: c.Auth, tenant: c.TenantID, load: func() ([]byte, error) { return nil, nil }}
	s := stageEntra
	if c.Auth == AuthManagedIdentity || c.Auth == AuthDefault {
		s = stageMachine
	}
	options := c.clientOptions(where, s)
	switch {
	case c.Credential != nil:
		cred.build = func([]byte) (azcore.TokenCredential, error) { return c.Credential, nil }
	case c.Auth == AuthClientSecret:
		cred.load = func() ([]byte, error) { return secretOf(c.ClientSecret, "ClientSecretFile", c.ClientSecretFile) }
		cred.build = func(secret []byte) (azcore.TokenCredential, error) {
			return azidentity.NewClientSecretCredential(c.TenantID, c.ClientID, string(secret),
				&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		}
	case c.Auth == AuthCertificate:
		var password []byte
		cred.load = func() (file []byte, err error) {
			if c.CertificatePassword != nil {
				if password, err = secretOf(c.CertificatePassword, "CertificatePassword", ""); err != nil {
					return nil, err
				}
			}
			file, err = provider.ReadFile("CertificateFile", c.CertificateFile)
			return slices.Concat(password, file), err
		}
		cred.build = func(secret []byte) (azcore.TokenCredential, error) {
			certs, key, err := azidentity.ParseCertificates(secret[len(password):], password)
			if err != nil {
				return nil, provider.FileError("CertificateFile", c.CertificateFile, err)
			}
			return azidentity.NewClientCertificateCredential(c.TenantID, c.ClientID, certs, key,
				&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		}
	case c.bound():
		cred.load = func() ([]byte, error) { return secretOf(nil, "TokenFile", c.TokenFile) }
		cred.build = func([]byte) (azcore.TokenCredential, error) { return c.bindingCredential(options) }
	case c.Auth == AuthWorkloadIdentity:
		// The SDK's credential of this name keeps what it read for ten minutes.
		read := func(context.Context) (string, error) {
			token, err := secretOf(nil, "TokenFile", c.TokenFile)
			return string(token), err
		}
		cred.build = func([]byte) (azcore.TokenCredential, error) {
			return azidentity.NewClientAssertionCredential(c.TenantID, c.ClientID, read,
				&azidentity.ClientAssertionCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		}
	case c.Auth == AuthManagedIdentity:
		o := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
		if c.ClientID != "" {
			o.ID = azidentity.ClientID(c.ClientID)
		}
		if c.IdentityResourceID != "" {
			o.ID = azidentity.ResourceID(c.IdentityResourceID)
		}
		cred.build = func([]byte) (azcore.TokenCredential, error) { return azidentity.NewManagedIdentityCredential(o) }
	default:
		cred.build = func([]byte) (azcore.TokenCredential, error) {
			return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options, TenantID: c.TenantID, DisableInstanceDiscovery: true})
		}
	}
	return cred
}

// secretOf returns a secret from a function or a field's file, without the white
// space around it.
func secretOf(f func() (string, error), field, path string) ([]byte, error) {
	var text []byte
	var err error
	where := "the Config"
	if f == nil {
		text, err = provider.ReadFile(field, path)
		where = field + " " + provider.Show(path)
	} else {
		var s string
		s, err = f()
		text = []byte(s)
	}
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, fmt.Errorf("the secret in %s is empty", where)
	}
	return text, nil
}

// sdk returns the SDK's credential for the secret as it is now, and a new one
// when the vault refused a token: the old one would give it out again.
func (c *credential) sdk(refused bool) (azcore.TokenCredential, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	secret, err := c.load()
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	sum := sha256.Sum256(secret)
	if refused || c.current == nil || sum != c.sum {
		cred, err := c.build(secret)
		if err != nil {
			return nil, err
		}
		c.current, c.sum = cred, sum
	}
	return c.current, nil
}

// GetToken implements [azcore.TokenCredential]. Its errors are faults.
func (c *credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (token azcore.AccessToken, err error) {
	// The SDK would wait for a credential that panicked, for ever.
	defer func() {
		if p := recover(); p != nil {
			err = &fault{kind: kms.ErrUnauthenticated, text: "the credential panicked", err: &panicked{p}}
		}
	}()
	if c.tenant != "" && o.TenantID != "" && !strings.EqualFold(c.tenant, o.TenantID) {
		if !strings.Contains(c.tenant, ".") {
			return token, &fault{kind: kms.ErrMisconfigured, text: fmt.Sprintf("the vault belongs to the tenant %s, and TenantID is %q", quote(o.TenantID), c.tenant)}
		}
		o.TenantID = "" // the vault knows only the GUID of a tenant that is configured by its domain
	}
	cred, err := c.sdk(met(ctx).look().refused)
	if err != nil {
		return token, &fault{kind: kms.ErrUnauthenticated, text: "no credential: " + line(err.Error()), err: err}
	}
	token, err = cred.GetToken(ctx, o)
	if err != nil {
		return azcore.AccessToken{}, c.explain(ctx, met(ctx).look(), err)
	}
	return token, nil
}

// expiredAssertion is the code of Entra ID, AADSTS700024, for an assertion that
// is not valid at the time on its clock.
const expiredAssertion = 700024

// explain returns what an error of a credential means.
func (c *credential) explain(ctx context.Context, met *exchange, err error) *fault {
	if ctx.Err() != nil {
		return ended(ctx.Err())
	}
	var resp *http.Response
	if e, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		resp = e.RawResponse
	}
	f := &fault{kind: kms.ErrUnauthenticated, err: err}
	switch {
	case resp != nil:
		c.answered(f, met, resp)
	case met.err != nil:
		f = unreachable(met)
	case met.issued:
		f.kind, f.text = kms.ErrUnavailable, "the answer of "+met.host+" is not a token: is there a proxy on the way?"
	default:
		f.text = line(err.Error())
	}
	if met.issued {
		f.err = nil // its text may hold the token
	}
	f.text = "no token: " + f.text
	return f
}

// answered fills f in from an answer of Entra ID, or of the machine's endpoint.
func (c *credential) answered(f *fault, met *exchange, resp *http.Response) {
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Codes       []int  `json:"error_codes"`
	}
	text, err := runtime.Payload(resp)
	if err == nil && len(text) <= maxAnswer {
		_ = json.Unmarshal(text, &body)
	}
	description, _, _ := strings.Cut(line(body.Description), " Trace ID:")
	f.after = retryAfter(resp)
	f.text = fmt.Sprintf("%d %s", resp.StatusCode, line(body.Error))
	if description != "" {
		f.text += ": " + description
	}
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		f.kind = kms.ErrThrottled
	case status >= 500, status == http.StatusRequestTimeout, body.Error == "temporarily_unavailable":
		f.kind = kms.ErrUnavailable
	case c.auth == AuthManagedIdentity && (status == http.StatusNotFound || status == http.StatusGone):
		f.kind = kms.ErrUnavailable // the endpoint is starting, or being updated
	case slices.Contains(body.Codes, expiredAssertion) && skewed(met.skew):
		f.kind = kms.ErrClockSkew
		f.text += ": " + clock(met.skew)
	}
	scrub(resp)
}
