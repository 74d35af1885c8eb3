package awskms

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/provider"
)

// Type is the provider's name in blobs and errors.
const Type = "awskms"

// Config says which key to use, and as whom. It prints no secret, unless it
// stands in an unexported field of another struct, where package fmt reads the
// fields themselves.
type Config struct {
	// KeyID is the key: "arn:aws:kms:eu-west-1:111122223333:key/…", the id
	// alone, "arn:aws:kms:eu-west-1:111122223333:alias/name", or "alias/name".
	// It must be a symmetric key for encryption. The ARN of the key is the best
	// choice. Required.
	KeyID string

	// Region is the key's region, as "eu-west-1". "" means the ARN's, or that
	// of AWS, Client, or the environment. Another region than the ARN's is an
	// error.
	Region string

	// Endpoint is the address of KMS, as "https://kms-fips.us-east-1.amazonaws.com".
	// "" means the public one of the region. Without TLS it must be a loopback
	// address, as the keys would travel in the clear.
	Endpoint string

	// AccessKeyID and SecretAccessKey are long-lived or temporary credentials,
	// the temporary ones with a SessionToken.
	AccessKeyID     string
	SecretAccessKey string `json:"-"`
	SessionToken    string `json:"-"`

	// Credentials are asked for the access key of every request, in place of the
	// three fields above: an [aws.CredentialsProviderFunc] that reads files, for
	// one. What they hold may be replaced, or not be there yet: their error is
	// that of the call, and shows no secret.
	Credentials aws.CredentialsProvider

	// CredentialsFile is the path of a file with access keys in the format of
	// ~/.aws/credentials. It is read on every call, so that a mounted secret may
	// be replaced. As in every field with a path, file:///path is the same, and
	// env://NAME, with AllowEnvironment, a variable that has it.
	CredentialsFile string

	// Profile is the profile in CredentialsFile; "" means "default". With
	// AllowEnvironment and no CredentialsFile it is a profile of the SDK's own
	// files, of any kind.
	Profile string

	// WebIdentityTokenFile is the path of a token that STS exchanges for the role
	// RoleARN, as the service account of a pod has it in EKS. It is read
	// whenever the role's credentials are renewed.
	WebIdentityTokenFile string

	// RoleARN is the role to assume, with the web identity or with the other
	// credentials. "" means none.
	RoleARN string

	// RoleSessionName names the session in CloudTrail. "" means "sealwright".
	RoleSessionName string

	// AllowEnvironment lets the SDK find whatever is not set here in its own
	// places: variables, shared files, web identity, containers, the instance.
	// A field that is set wins, and credentials of one kind hide those of every
	// other. RoleARN is assumed from the identity found, unless it is that
	// identity's own AWS_ROLE_ARN. Without AllowEnvironment nothing is read, not
	// even HTTPS_PROXY.
	AllowEnvironment bool

	// AWS is the host's configuration of the SDK, with credentials. Its region
	// gives way to that of KeyID.
	AWS *aws.Config

	// Client is the host's own client. Its settings are used, but for its
	// retries, its clock correction and its logging. Only KeyID, and Timeout,
	// go with it.
	Client *awskms.Client

	// HTTPClient sends the requests to KMS and STS. nil means one of the SDK's,
	// which with AllowEnvironment trusts the CA in AWS_CA_BUNDLE: that is no
	// matter of an HTTPClient, so the two together are an error.
	HTTPClient aws.HTTPClient

	// Timeout bounds a call whose context has no deadline, and every request
	// for credentials. 0 means 10 seconds.
	Timeout time.Duration
}

// New returns a Wrapper of the key. It makes no request: whether key and
// credentials are right shows in the first call. With AllowEnvironment it looks
// at the SDK's own files; what is wrong with these, or with the CA, is an error
// of each call until they are right, and not of New. The error is a [*kms.Error] of the kind
// [kms.ErrMisconfigured], and says which fields to change.
func New(cfg Config) (*Wrapper, error) {
	w, err := newWrapper(cfg)
	if err != nil {
		return nil, &kms.Error{Op: "configure", Type: Type, KeyID: cfg.KeyID, Kind: kms.ErrMisconfigured, Err: err}
	}
	return w, nil
}

func newWrapper(cfg Config) (*Wrapper, error) {
	key, err := parseKey(cfg.KeyID)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg, err = cfg.paths(); err != nil {
		return nil, err
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	build := func() (*session, error) { return cfg.newSession(key) }
	if cfg.Client != nil {
		build = func() (*session, error) { return cfg.fromClient(key) }
	} else if _, err := chooseRegion(cfg, key, "of a file, perhaps"); err != nil {
		return nil, err
	}
	w := &Wrapper{key: key, timeout: cfg.Timeout, source: &source{build: build}}
	if _, err := w.source.session(); err != nil {
		if _, ok := errors.AsType[*fileError](err); !ok {
			return nil, err
		}
	}
	return w, nil
}

// String returns the configuration without its secrets.
func (c Config) String() string {
	return fmt.Sprintf("awskms.Config{KeyID: %q, Region: %q, Endpoint: %q, AccessKeyID: %q, CredentialsFile: %s, Profile: %q, WebIdentityTokenFile: %s, RoleARN: %q, AllowEnvironment: %t, …}",
		c.KeyID, c.Region, c.Endpoint, c.AccessKeyID, provider.Show(c.CredentialsFile), c.Profile, provider.Show(c.WebIdentityTokenFile), c.RoleARN, c.AllowEnvironment)
}

// Format writes what String returns, for every verb.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue returns what String returns.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
