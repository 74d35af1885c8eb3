package boltfile_test

import (
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/keyring/named/namedtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

func file(t *testing.T) *boltfile.File {
	f := &boltfile.File{Path: filepath.Join(t.TempDir(), "data", "server.db")}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestRecord(t *testing.T) {
	storetest.Run(t, func(t *testing.T) seal.Store { return boltfile.Record{File: file(t)} })
}

func TestKeys(t *testing.T) {
	namedtest.Run(t, func(t *testing.T) named.Store { return boltfile.Keys{File: file(t)} })
}
