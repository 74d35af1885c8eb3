// Servers builds database servers for the tests of internal/sqltest, and keeps them in
// the user's cache, where the tests find them.
//
//	cd internal/sqltest && GOWORK=off go run ./servers dolt tidb
//
// It builds both from the Go module proxy, which takes minutes for Dolt, and more for
// TiDB, and some gigabytes of the caches of Go. Dolt needs a C++ compiler and ICU
// (Debian: libicu-dev). To be rid of them, delete the directory that it prints.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/internal/servercache"
)

func main() {
	servercache.Main(map[string]string{"dolt": dbtest.DoltVersion, "tidb": dbtest.TiDBVersion}, build)
}

// build builds a program in a module of its own: what TiDB's own replaces would
// otherwise not be replaced, and its parser is a module that stands in a directory.
func build(name, version, dir string) error {
	module, program := "github.com/dolthub/dolt/go", "dolt"
	cgo, replace := "1", ""
	if name == "tidb" {
		module, program, cgo = "github.com/pingcap/tidb", "tidb-server", "0"
		_, commit, _ := strings.Cut(version, "beta.0.")
		replace = fmt.Sprintf(tidbReplaces, commit)
	}
	program = "cmd/" + program
	files := map[string]string{
		"go.mod":   fmt.Sprintf("module build\n\ngo 1.26.0\n\nrequire %s v%s\n%s", module, version, replace),
		"build.go": fmt.Sprintf("//go:build build\n\npackage build\n\nimport _ %q\n", module+"/"+program),
	}
	source, err := os.MkdirTemp("", "sealwright-"+name)
	if err != nil {
		return err
	}
	defer os.RemoveAll(source)
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(source, file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", dir+"/", module+"/"+program)
	cmd.Dir, cmd.Stdout, cmd.Stderr = source, os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED="+cgo)
	return cmd.Run()
}

const tidbReplaces = `
replace (
	github.com/go-ldap/ldap/v3 => github.com/YangKeao/ldap/v3 v3.4.5-0.20230421065457-369a3bab1117
	github.com/pingcap/tidb/pkg/parser => github.com/pingcap/tidb/pkg/parser v0.0.0-%s
	sourcegraph.com/sourcegraph/appdash => github.com/sourcegraph/appdash v0.0.0-20190731080439-ebfcffb1b5c0
	sourcegraph.com/sourcegraph/appdash-data => github.com/sourcegraph/appdash-data v0.0.0-20151005221446-73f23eafcf67
)
`
