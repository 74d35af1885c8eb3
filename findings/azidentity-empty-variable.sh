#!/bin/sh
# azidentity: an empty AZURE_TOKEN_CREDENTIALS is refused, where other variables count as unset.
#
# The variable selects a part of DefaultAzureCredential's chain, and none selects all
# of it. One that is set to nothing, as by an unfilled template of a pod or a compose
# file, is neither: the constructor fails over the value "". The variables beside it,
# such as AZURE_ADDITIONALLY_ALLOWED_TENANTS, mean nothing when they are empty, and the
# option RequireAzureTokenCredentials is documented to refuse a variable that "has no
# value", so that one expects the default to let it pass.
#
# Seen with github.com/Azure/azure-sdk-for-go/sdk/azidentity v1.15.0; needs Go. It
# prints, and this fails on anything else:
#
#   unset: <nil>
#   AZURE_ADDITIONALLY_ALLOWED_TENANTS="": <nil>
#   AZURE_TOKEN_CREDENTIALS="": invalid AZURE_TOKEN_CREDENTIALS value ""
set -eu
want='unset: <nil>
AZURE_ADDITIONALLY_ALLOWED_TENANTS="": <nil>
AZURE_TOKEN_CREDENTIALS="": invalid AZURE_TOKEN_CREDENTIALS value ""'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS
for name in $(env | sed -n 's/^\(AZURE_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export GOWORK=off
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

func main() {
	_, err := azidentity.NewDefaultAzureCredential(nil)
	fmt.Println("unset:", err)
	for _, name := range []string{"AZURE_ADDITIONALLY_ALLOWED_TENANTS", "AZURE_TOKEN_CREDENTIALS"} {
		os.Setenv(name, "")
		_, err := azidentity.NewDefaultAzureCredential(nil)
		said, _, _ := strings.Cut(fmt.Sprint(err), ". ")
		fmt.Printf("%s=\"\": %s\n", name, said)
	}
}
GO
go mod init finding >log 2>&1 && go get github.com/Azure/azure-sdk-for-go/sdk/azidentity@v1.15.0 >>log 2>&1 || {
	cat log
	exit 1
}
got=$(go run .)
printf '%s\n' "$got"
[ "$got" = "$want" ]
