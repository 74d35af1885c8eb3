#!/bin/sh
# cloud.google.com/go/storage: a bucket that is not there reads as an object that is not.
#
# The package has ErrBucketNotExist and ErrObjectNotExist, and Cloud Storage says which
# it is: a download from a bucket that does not exist is answered with 404 and the code
# NoSuchBucket, one of an object that does not with NoSuchKey. NewReader makes
# ErrObjectNotExist of both; only a listing tells them apart. So whoever takes that
# error for "nothing stored yet" takes a mistyped or deleted bucket for an empty one.
#
# Seen with cloud.google.com/go/storage v1.70.0 against loopback answers in the words of
# the service; needs Go. It prints, and this fails on anything else:
#
#   NewReader, NoSuchKey: object=true bucket=false
#   NewReader, NoSuchBucket: object=true bucket=false
#   Objects, no bucket: object=false bucket=true
set -eu
want='NewReader, NoSuchKey: object=true bucket=false
NewReader, NoSuchBucket: object=true bucket=false
Objects, no bucket: object=false bucket=true'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS STORAGE_EMULATOR_HOST GOOGLE_APPLICATION_CREDENTIALS
export GOWORK=off
cat >main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"
)

func main() {
	code := "NoSuchKey"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/o") && r.URL.Query().Get("alt") == "json" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(404)
			fmt.Fprint(w, `{"error": {"code": 404, "message": "The specified bucket does not exist.", "errors": [{"domain": "global", "reason": "notFound", "message": "The specified bucket does not exist."}]}}`)
			return
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(404)
		fmt.Fprintf(w, "<?xml version='1.0' encoding='UTF-8'?><Error><Code>%s</Code><Message>The specified one does not exist.</Message></Error>", code)
	}))
	defer server.Close()
	os.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(server.URL, "http://"))
	ctx := context.Background()
	client, err := storage.NewClient(ctx, option.WithoutAuthentication())
	if err != nil {
		fmt.Println(err)
		return
	}
	client.SetRetry(storage.WithPolicy(storage.RetryNever))
	say := func(what string, err error) {
		fmt.Printf("%s: object=%t bucket=%t\n", what, errors.Is(err, storage.ErrObjectNotExist), errors.Is(err, storage.ErrBucketNotExist))
	}
	for _, code = range []string{"NoSuchKey", "NoSuchBucket"} {
		_, err := client.Bucket("bucket").Object("object").NewReader(ctx)
		say("NewReader, "+code, err)
	}
	_, err = client.Bucket("bucket").Objects(ctx, nil).Next()
	say("Objects, no bucket", err)
}
GO
go mod init finding >>log 2>&1 && go get cloud.google.com/go/storage@v1.70.0 >>log 2>&1 && go mod tidy >>log 2>&1 || {
	cat log
	exit 1
}
got=$(go run .)
printf '%s\n' "$got"
[ "$got" = "$want" ]
