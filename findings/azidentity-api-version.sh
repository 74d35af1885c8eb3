#!/bin/sh
# azidentity: the options of a service client that names an API version stop the tokens.
#
# azcore.ClientOptions says of itself that an instance can be shared between the
# constructors of clients. One with an APIVersion, which the clients of services put
# into their requests, is taken by azidentity's constructors without a word; then each
# token is refused: "this client doesn't support overriding its API version", and the
# service, whose client does, is never asked. The credential needs a copy of the
# options without the APIVersion.
#
# Seen with github.com/Azure/azure-sdk-for-go/sdk/azidentity v1.15.0 and azcore v1.24.0,
# with a transport that answers as Entra ID does; needs Go. It prints, and this fails
# on anything else:
#
#   APIVersion "": constructed: true, token: "t", refused: false
#   APIVersion "7.4": constructed: true, token: "", refused: true
set -eu
want='APIVersion "": constructed: true, token: "t", refused: false
APIVersion "7.4": constructed: true, token: "", refused: true'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS
export GOWORK=off
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

const tenant = "11111111-1111-4111-8111-111111111111"

type entra struct{}

func (entra) Do(r *http.Request) (*http.Response, error) {
	base := "https://login.microsoftonline.com/" + tenant
	body := `{"token_type":"Bearer","expires_in":3600,"access_token":"t"}`
	if strings.HasSuffix(r.URL.Path, "openid-configuration") {
		body = `{"issuer":"` + base + `/v2.0","authorization_endpoint":"` + base + `/authorize","token_endpoint":"` + base + `/token"}`
	}
	return &http.Response{StatusCode: 200, Request: r, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func main() {
	for _, version := range []string{"", "7.4"} {
		options := azcore.ClientOptions{APIVersion: version, Transport: entra{}, Retry: policy.RetryOptions{MaxRetries: -1}}
		cred, err := azidentity.NewClientSecretCredential(tenant, "app", "example-secret",
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		fmt.Printf("APIVersion %q: constructed: %v, ", version, err == nil)
		token, err := cred.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}})
		refused := err != nil && strings.Contains(err.Error(), "this client doesn't support overriding its API version")
		fmt.Printf("token: %q, refused: %v\n", token.Token, refused)
	}
}
GO
go mod init finding >log 2>&1 &&
	go get github.com/Azure/azure-sdk-for-go/sdk/azidentity@v1.15.0 github.com/Azure/azure-sdk-for-go/sdk/azcore@v1.24.0 >>log 2>&1 || {
	cat log
	exit 1
}
got=$(go run .)
printf '%s\n' "$got"
[ "$got" = "$want" ]
