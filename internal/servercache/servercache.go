// Package servercache keeps servers that tests start, and that a command of its own
// built or fetched once, in the user's cache.
package servercache

import (
	"fmt"
	"os"
	"path/filepath"
)

// Dir returns where a server of a version is, or would be.
func Dir(name, version string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "sealwright", name+"-"+version), nil
}

// Fetch has a server stand whole in its directory, or not at all. Into puts it into a
// directory that is empty, unless it is there.
func Fetch(name, version string, into func(dir string) error) (dir string, err error) {
	dir, err = Dir(name, version)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), name+"-part-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	if err := into(part); err != nil {
		return "", err
	}
	return dir, os.Rename(part, dir)
}

// Main is the command: it fetches the servers that its arguments name, and prints
// their directories.
func Main(versions map[string]string, into func(name, version, dir string) error) {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: servers NAME ...")
		os.Exit(2)
	}
	for _, name := range os.Args[1:] {
		version, err := versions[name], error(nil)
		if version == "" {
			err = fmt.Errorf("no such server")
		}
		dir := ""
		if err == nil {
			dir, err = Fetch(name, version, func(dir string) error { return into(name, version, dir) })
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "servers: %s: %v\n", name, err)
			os.Exit(1)
		}
		fmt.Println(dir)
	}
}
