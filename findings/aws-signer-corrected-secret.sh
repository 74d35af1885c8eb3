#!/bin/sh
# aws-sdk-go-v2 goes on signing with a secret that was corrected.
#
# A client asks its credentials provider before each request, so one would expect
# that a provider which reads a file makes a corrected file count from the next
# request on. The client's signer keeps what it derived from the secret, by region,
# service, day and access key id, and does not look at the secret again: whoever
# mistyped it and corrects it under the same id is refused for the rest of the day,
# or until there is a new client. A HTTPSignerV4 that makes a v4.NewSigner for each
# request is the cure.
#
# Seen with github.com/aws/aws-sdk-go-v2 v1.48.0 and service/kms v1.62.6; needs Go.
# Nothing is sent: each signature of the client's is compared with that of a new
# signer, given the same. It prints, and this fails on anything else:
#
#   mistyped secret: as a new signer signs
#   corrected secret: not as a new signer signs
#   corrected secret, other id: as a new signer signs
set -eu
want='mistyped secret: as a new signer signs
corrected secret: not as a new signer signs
corrected secret, other id: as a new signer signs'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS
export GOWORK=off
cat >main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

type compare struct{ own kms.HTTPSignerV4 }

func (c compare) SignHTTP(ctx context.Context, creds aws.Credentials, r *http.Request, hash, service, region string, at time.Time, opts ...func(*v4.SignerOptions)) error {
	fresh, not := r.Clone(ctx), "not "
	if err := errors.Join(v4.NewSigner().SignHTTP(ctx, creds, fresh, hash, service, region, at, opts...),
		c.own.SignHTTP(ctx, creds, r, hash, service, region, at, opts...)); err != nil {
		return err
	}
	if r.Header.Get("Authorization") == fresh.Header.Get("Authorization") {
		not = ""
	}
	fmt.Println(not + "as a new signer signs")
	return errors.New("seen") // nothing is sent
}

func main() {
	var now aws.Credentials
	provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return now, nil })
	client := kms.New(kms.Options{Region: "eu-west-1", Credentials: provider}, func(o *kms.Options) { o.HTTPSignerV4 = compare{o.HTTPSignerV4} })
	for _, c := range []struct{ name, id, secret string }{
		{"mistyped secret", "AKIAEXAMPLE1", "mistyped-secret"},
		{"corrected secret", "AKIAEXAMPLE1", "corrected-secret"},
		{"corrected secret, other id", "AKIAEXAMPLE2", "corrected-secret"},
	} {
		fmt.Print(c.name, ": ")
		now = aws.Credentials{AccessKeyID: c.id, SecretAccessKey: c.secret}
		client.ListKeys(context.Background(), nil)
	}
}
GO
go mod init finding >log 2>&1 &&
	go get github.com/aws/aws-sdk-go-v2@v1.48.0 github.com/aws/aws-sdk-go-v2/service/kms@v1.62.6 >>log 2>&1 || {
	cat log
	exit 1
}
got=$(go run .)
printf '%s\n' "$got"
[ "$got" = "$want" ]
