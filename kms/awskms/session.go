package awskms

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/sealwright/sealwright/kms/provider"
)

// A session is what calls are made with.
type session struct {
	client      *awskms.Client
	region      string
	credentials *credentials
	ca          bundle // that the client trusts
}

// A source makes the session, and another when the file of its CA has changed.
// What stands in files may be missing when New is called, and be there later.
type source struct {
	build func() (*session, error)

	mu      sync.Mutex
	current *session
}

// fileError is a fault of a file that the environment names: a call may heal it,
// and so it is no error of New.
type fileError struct{ err error }

func (e *fileError) Error() string { return e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// session returns the present one.
func (s *source) session() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		same, err := s.current.ca.same()
		if err != nil {
			return nil, err
		}
		if same {
			return s.current, nil
		}
	}
	next, err := s.build()
	if err != nil {
		return nil, err
	}
	s.current = next
	return next, nil
}

// known returns the session if there is one, and reads nothing.
func (s *source) known() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// newSession returns the session of a cfg without a Client.
func (cfg Config) newSession(key keyName) (*session, error) {
	base, ca, err := cfg.base(key.arn.Region)
	if err != nil {
		return nil, err
	}
	if base.Region, err = chooseRegion(cfg, key, base.Region); err != nil {
		return nil, err
	}
	creds, err := newCredentials(cfg, base)
	if err != nil {
		return nil, err
	}
	base.Credentials = creds
	client := awskms.NewFromConfig(base, func(o *awskms.Options) {
		o.HTTPSignerV4 = signer{}
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
		harden(o)
	})
	o := client.Options()
	if err := secure(o.BaseEndpoint); err != nil {
		return nil, err
	}
	if err := alone("KMS", o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint); err != nil {
		return nil, err
	}
	return &session{client: client, region: base.Region, credentials: creds, ca: ca}, nil
}

// alone refuses an endpoint of one's own beside the wish for one of AWS's: the
// SDK would refuse every call, in words of its own rules.
func alone(service string, endpoint *string, fips aws.FIPSEndpointState, dual aws.DualStackEndpointState) error {
	for _, wish := range []struct {
		on       bool
		variable string
	}{
		{fips == aws.FIPSEndpointStateEnabled, "AWS_USE_FIPS_ENDPOINT (or use_fips_endpoint of the profile)"},
		{dual == aws.DualStackEndpointStateEnabled, "AWS_USE_DUALSTACK_ENDPOINT (or use_dualstack_endpoint of the profile)"},
	} {
		if endpoint != nil && wish.on {
			return fmt.Errorf("%s has an endpoint of its own, and %s asks for one of AWS's: unset one, and write the FIPS or dual-stack address as the endpoint where that is meant", service, wish.variable)
		}
	}
	return nil
}

// fromClient returns the session of a cfg with a Client.
func (cfg Config) fromClient(key keyName) (*session, error) {
	o := cfg.Client.Options()
	if r := key.arn.Region; r != "" && r != o.Region {
		return nil, fmt.Errorf("the Client is for the region %q, and KeyID is in %q", o.Region, r)
	}
	if o.Region == "" {
		return nil, errors.New("the Client has no region")
	}
	if err := alone("the Client", o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint); err != nil {
		return nil, err
	}
	creds := &credentials{provider: o.Credentials, timeout: cfg.Timeout}
	if o.Credentials != nil {
		o.Credentials = creds
	}
	resign(&o)
	return &session{client: awskms.New(o, harden), region: o.Region, credentials: creds}, nil
}

// chooseRegion returns the one region that all sources agree on.
func chooseRegion(cfg Config, key keyName, found string) (string, error) {
	switch r := key.arn.Region; {
	case r != "" && cfg.Region != "" && r != cfg.Region:
		return "", fmt.Errorf("KeyID is in the region %q, and Region is %q", r, cfg.Region)
	case r != "":
		return r, nil
	case cfg.Region != "":
		return cfg.Region, nil
	case found != "":
		return found, nil
	}
	return "", errors.New("no region: write the ARN of the key as KeyID, or set Region")
}

// A bundle is a file of CA certificates, as it was read. The zero bundle is none.
type bundle struct {
	field, path string
	sum         [sha256.Size]byte
}

// caVariable names a file of CA certificates in place of the machine's.
const caVariable = "AWS_CA_BUNDLE"

// readBundle returns a bundle and its content.
func readBundle(field, path string) (bundle, []byte, error) {
	pem, err := provider.ReadFile(field, path)
	if err != nil {
		return bundle{}, nil, &fileError{err}
	}
	return bundle{field, path, sha256.Sum256(pem)}, pem, nil
}

// same reports whether the file is as it was read.
func (b bundle) same() (bool, error) {
	if b.path == "" {
		return true, nil
	}
	now, _, err := readBundle(b.field, b.path)
	return now.sum == b.sum, err
}

// profileBundle returns the CA that the SDK took from a profile's ca_bundle.
func profileBundle(found aws.Config) (bundle, error) {
	for _, s := range found.ConfigSources {
		if shared, ok := s.(config.SharedConfig); ok && shared.CustomCABundle != "" {
			b, _, err := readBundle("ca_bundle", shared.CustomCABundle)
			return b, err
		}
	}
	return bundle{}, nil
}
