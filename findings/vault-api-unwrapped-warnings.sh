#!/bin/sh
# vault/api: an answer without an envelope loses its data when it has warnings.
#
# Some answers of Vault stand bare, not under "data": that of sys/seal-status, which
# may have "warnings" (the package's own SealStatusResponse has the field). Read makes
# such an answer the Data of the Secret, but only while no top-level name is one of an
# envelope's; with warnings it takes the answer for an envelope, and the Data is nil,
# without an error. So a server that begins to warn has no seal status for those who
# Read it. Sys().SealStatus() reads all of it.
#
# Seen with github.com/hashicorp/vault/api v1.23.0 against a loopback answer; needs Go.
# It prints, and this fails on anything else:
#
#   {"sealed":true,"t":3}
#     Read: 2 data, 0 warnings, error <nil>
#     SealStatus: sealed=true t=3 warnings=0
#   {"sealed":true,"t":3,"warnings":["w"]}
#     Read: 0 data, 1 warnings, error <nil>
#     SealStatus: sealed=true t=3 warnings=1
set -eu
want='{"sealed":true,"t":3}
  Read: 2 data, 0 warnings, error <nil>
  SealStatus: sealed=true t=3 warnings=0
{"sealed":true,"t":3,"warnings":["w"]}
  Read: 0 data, 1 warnings, error <nil>
  SealStatus: sealed=true t=3 warnings=1'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS
for name in $(env | sed -n 's/^\(VAULT_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export GOWORK=off
cat >main.go <<'GO'
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/hashicorp/vault/api"
)

func main() {
	for _, answer := range []string{`{"sealed":true,"t":3}`, `{"sealed":true,"t":3,"warnings":["w"]}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
		client, err := api.NewClient(&api.Config{Address: server.URL, HttpClient: server.Client()})
		if err != nil {
			log.Fatal(err)
		}
		secret, err := client.Logical().Read("sys/seal-status")
		if secret == nil {
			log.Fatal("no secret: ", err)
		}
		fmt.Printf("%s\n  Read: %d data, %d warnings, error %v\n", answer, len(secret.Data), len(secret.Warnings), err)
		status, err := client.Sys().SealStatus()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("  SealStatus: sealed=%v t=%d warnings=%d\n", status.Sealed, status.T, len(status.Warnings))
		server.Close()
	}
}
GO
go mod init finding >log 2>&1 && go get github.com/hashicorp/vault/api@v1.23.0 >>log 2>&1 || {
	cat log
	exit 1
}
got=$(go run .)
printf '%s\n' "$got"
[ "$got" = "$want" ]
