//go:build unix

// Package azblob_test runs blobstore on Azurite, Microsoft's emulator of Blob Storage.
package azblob_test

import (
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/sealwright/sealwright/internal/storestest/objecttest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore"
	"github.com/sealwright/sealwright/seal/objectstore/blobstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// The account and its key are Azurite's own, and everybody's.
const (
	account = "devstoreaccount1"
	key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

func start(t *testing.T) *objecttest.Server {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node in the PATH")
	}
	program := objecttest.Cached(t, "azurite-3.35.0", "node_modules", "azurite", "dist", "src", "blob", "main.js")
	dir := t.TempDir()
	server := objecttest.Start(t, func(host, port string) []string {
		return []string{node, program, "--blobHost", host, "--blobPort", port, "--location", dir, "--silent", "--skipApiVersionCheck", "--disableTelemetry"}
	})
	if _, err := connect(t, server.Addr(), "bucket", key).Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return server
}

// connect returns a client with a transport of its own.
func connect(t testing.TB, addr, name, key string) *container.Client {
	t.Helper()
	credential, err := container.NewSharedKeyCredential(account, key)
	if err != nil {
		t.Fatal(err)
	}
	options := &container.ClientOptions{}
	options.Transport = &http.Client{Transport: &http.Transport{}}
	options.Retry.RetryDelay, options.Retry.MaxRetryDelay = 5*time.Millisecond, 50*time.Millisecond
	client, err := container.NewClientWithSharedKeyCredential("http://"+addr+"/"+account+"/"+name, credential, options)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func open(t testing.TB, client *container.Client, key string) *objectstore.Store {
	t.Helper()
	s, err := blobstore.New(client, blobstore.Config{Key: key, PollInterval: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAzurite(t *testing.T) {
	server := start(t)
	addr := server.Addr()
	t.Run("conformance", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) seal.Store {
			name := objecttest.Key()
			return storetest.Turns(open(t, connect(t, addr, "bucket", key), name), open(t, connect(t, addr, "bucket", key), name))
		})
	})
	for name, s := range map[string]seal.Store{
		"no server":         open(t, connect(t, "127.0.0.1:1", "bucket", key), "key"),
		"no such container": open(t, connect(t, addr, "another", key), "key"),
		"a wrong key":       open(t, connect(t, addr, "bucket", "YW5vdGhlcg=="), "key"),
	} {
		t.Run(name, func(t *testing.T) {
			storetest.RunUnreachable(t, func(*testing.T) seal.Store { return s })
		})
	}
	t.Run("lost answers", func(t *testing.T) {
		wire := storetest.NewWire(t, "tcp", addr)
		storetest.RunLostAnswers(t, func(t *testing.T) (seal.Store, func(int)) {
			s := open(t, connect(t, wire.Addr(), "bucket", key), objecttest.Key())
			if err := s.Prove(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s, wire.Lose
		})
	})
	t.Run("stale writer", func(t *testing.T) {
		objecttest.StaleWriter(t, "azblob(azurite)", 6, func(name string) seal.Store {
			return open(t, connect(t, addr, "bucket", key), name)
		})
	})
}
