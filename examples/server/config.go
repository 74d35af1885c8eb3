package main

import (
	"fmt"
	"path/filepath"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// config is what the server needs of its file.
type config struct {
	address   string
	cert, key string // both empty: no TLS
	loopback  bool   // whoever connects from this machine sits at it
	tokenFile string // where a new root token goes; "" for none
	audit     string // where the journal is; "" for none
	db        string // the bbolt file
	seals     *sealconf.Setup
}

// parseConfig reads a configuration whose seal stanzas may name these providers
// and those of package sealconf, which also reads the other blocks: what Vault
// takes is taken here, and what is not known there is left alone.
func parseConfig(src []byte, name string, providers []sealconf.Provider) (*config, error) {
	storage, err := sealconf.Blocks(src, name, "storage")
	if err != nil {
		return nil, err
	}
	listener, err := sealconf.Blocks(src, name, "listener")
	if err != nil {
		return nil, err
	}
	switch {
	case len(storage) != 1 || storage[0].Label != "file" || storage[0].Text("path") == "":
		return nil, fmt.Errorf("%s: one storage \"file\" block with a path is needed", name)
	case len(listener) != 1 || listener[0].Label != "tcp":
		return nil, fmt.Errorf("%s: one listener \"tcp\" block is needed", name)
	}
	l := listener[0]
	out := &config{address: l.Text("address"), db: filepath.Join(storage[0].Text("path"), "sealwright.db"), cert: l.Text("tls_cert_file"), key: l.Text("tls_key_file")}
	if out.address == "" {
		out.address = "127.0.0.1:8200"
	}
	yes := func(text string) bool { return text == "1" || text == "true" }
	out.loopback = yes(l.Text("trust_loopback")) // this server's own; never behind a proxy
	if yes(l.Text("tls_disable")) {
		out.cert, out.key = "", ""
	} else if out.cert == "" || out.key == "" {
		return nil, fmt.Errorf("%s: the listener needs tls_cert_file and tls_key_file, or tls_disable = true", name)
	}
	stanzas, err := sealconf.Parse(src, name)
	if err != nil {
		return nil, err
	}
	out.seals, err = sealconf.Build(stanzas, sealconf.Options{Providers: providers, AllowEnvironment: true})
	return out, err
}

// plan is where the seal stanzas want the store to be.
func (c *config) plan() migrate.Plan {
	return migrate.Plan{Slots: c.seals.Slots, Drop: c.seals.Disabled}
}
