#!/bin/sh
# aws-sdk-go-v2 config: AWS_CA_BUNDLE fails a program that brings its own HTTP client.
#
# config.WithHTTPClient takes anything with Do, and an *http.Client is the common
# choice. Where AWS_CA_BUNDLE is also set, as on many machines behind a TLS proxy,
# LoadDefaultConfig neither leaves the client alone nor adds the CA to it: it fails,
# in words of a method that an *http.Client does not have and without the name of the
# variable. WithCustomCABundle, and ca_bundle of a profile, come to the same place.
#
# Seen with github.com/aws/aws-sdk-go-v2/config v1.33.18; needs Go and the openssl
# command. It prints, and this fails on anything else:
#
#   own client: <nil>
#   AWS_CA_BUNDLE: <nil>
#   both: unable to add custom RootCAs HTTPClient, has no WithTransportOptions, *http.Client
set -eu
want='own client: <nil>
AWS_CA_BUNDLE: <nil>
both: unable to add custom RootCAs HTTPClient, has no WithTransportOptions, *http.Client'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS AWS_CA_BUNDLE AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ENDPOINT_URL
export GOWORK=off AWS_REGION=eu-west-1 AWS_CONFIG_FILE="$dir/none" AWS_SHARED_CREDENTIALS_FILE="$dir/none"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -keyout key.pem -out ca.pem 2>log || {
	cat log
	exit 1
}
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
)

func main() {
	own := config.WithHTTPClient(&http.Client{})
	_, err := config.LoadDefaultConfig(context.Background(), own)
	fmt.Println("own client:", err)
	os.Setenv("AWS_CA_BUNDLE", "ca.pem")
	_, err = config.LoadDefaultConfig(context.Background())
	fmt.Println("AWS_CA_BUNDLE:", err)
	_, err = config.LoadDefaultConfig(context.Background(), own)
	fmt.Println("both:", err)
}
GO
go mod init finding >>log 2>&1 && go get github.com/aws/aws-sdk-go-v2/config@v1.33.18 >>log 2>&1 || {
	cat log
	exit 1
}
got=$(go run .)
printf '%s\n' "$got"
[ "$got" = "$want" ]
