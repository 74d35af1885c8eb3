// Core is the least server with a key in a file: the core alone.
package main

import (
	"path/filepath"

	"github.com/sealwright/sealwright/internal/cloudtest/weight/least"
	"github.com/sealwright/sealwright/kms/localkms"
)

func main() {
	w, err := localkms.New(localkms.Config{Path: filepath.Join(least.Directory(), "kms.key")})
	least.Main(w, err)
}
