package awskms

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
)

// signer signs each request with the secret that it is given. The SDK's own keeps
// what it derived from the first secret of an access key id, and goes on with it
// for the rest of the day when a secret was mistyped and is corrected.
type signer struct{}

// SignHTTP implements the HTTPSignerV4 of the SDK's services.
func (signer) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service, region string, at time.Time, opts ...func(*v4.SignerOptions)) error {
	return v4.NewSigner().SignHTTP(ctx, c, r, hash, service, region, at, opts...)
}

// resign gives options of a host's client a signer in place of the SDK's own,
// which the client has put into its scheme of authentication already. A signer
// or a scheme of the host's own type stays.
func resign(o *awskms.Options) {
	own := awskms.New(awskms.Options{}).Options()
	if !sameType(o.HTTPSignerV4, own.HTTPSignerV4) || len(o.AuthSchemes) != len(own.AuthSchemes) {
		return
	}
	for i, scheme := range o.AuthSchemes {
		if !sameType(scheme, own.AuthSchemes[i]) || !sameType(scheme.Signer(), own.AuthSchemes[i].Signer()) {
			return
		}
	}
	o.HTTPSignerV4, o.AuthSchemes = signer{}, nil // the new client makes the scheme
}

func sameType(a, b any) bool { return reflect.TypeOf(a) == reflect.TypeOf(b) }
