package main

import (
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/keyring/named/namedtest"
)

// The named keys in the file are held to what every store of them is.
func TestBoltKeys(t *testing.T) {
	namedtest.Run(t, func(t *testing.T) named.Store {
		db := &database{path: filepath.Join(t.TempDir(), "data", "server.db")}
		t.Cleanup(func() { db.close() })
		return boltKeys{db}
	})
}
