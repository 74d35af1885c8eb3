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
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: servers versitygw|azurite ...")
		os.Exit(2)
	}
	for _, name := range os.Args[1:] {
		dir, err := fetch(name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "servers: %s: %v\n", name, err)
			os.Exit(1)
		}
		fmt.Println(dir)
	}
}

// fetch has a server stand whole under its name, or not at all.
func fetch(name string) (dir string, err error) {
	versions := map[string]string{"versitygw": "1.8.0", "azurite": "3.35.0"}
	version, ok := versions[name]
	if !ok {
		return "", fmt.Errorf("no such server")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "sealwright")
	dir = filepath.Join(cache, name+"-"+version)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(cache, name+"-part-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	cmd := exec.Command("go", "install", "github.com/versity/versitygw/cmd/versitygw@v"+version)
	if name == "azurite" {
		cmd = exec.Command("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", part, "azurite@"+version)
	}
	cmd.Dir = part // outside every module
	cmd.Env = append(os.Environ(), "GOBIN="+part, "GOFLAGS=", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", err
	}
	return dir, os.Rename(part, dir)
}
