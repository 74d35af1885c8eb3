// Servers fetches servers of object storage for the tests of internal/storestest, and
// keeps them in the user's cache, where the tests find them.
//
//	cd internal/storestest && GOWORK=off go run ./servers versitygw azurite
//
// It builds versitygw from the Go module proxy, which takes minutes, and has npm
// install Azurite, which runs no scripts and needs Node.js. To be rid of them, delete
// the directory that it prints.
package main

import (
	"os"
	"os/exec"

	"github.com/sealwright/sealwright/internal/servercache"
)

func main() {
	servercache.Main(map[string]string{"versitygw": "1.8.0", "azurite": "3.35.0"}, fetch)
}

func fetch(name, version, dir string) error {
	cmd := exec.Command("go", "install", "github.com/versity/versitygw/cmd/versitygw@v"+version)
	if name == "azurite" {
		cmd = exec.Command("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", dir, "azurite@"+version)
	}
	cmd.Dir = dir // outside every module
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}
