package main

import (
	"fmt"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// config is what the server needs of its file.
type config struct {
	address   string
	cert, key string // both empty: no TLS
	loopback  bool   // whoever connects from this machine sits at it
	tokenFile string // where a new root token goes; "" for none
	db        string // the bbolt file
	seals     *sealconf.Setup
}

// The blocks that are read, as Vault writes them. Seal stanzas are left to
// package sealconf.
type file struct {
	Storage  []storage  `hcl:"storage,block"`
	Listener []listener `hcl:"listener,block"`
	Rest     hcl.Body   `hcl:",remain"`
}

type storage struct {
	Type string `hcl:"type,label"`
	Path string `hcl:"path"`
}

type listener struct {
	Type       string `hcl:"type,label"`
	Address    string `hcl:"address,optional"`
	TLSDisable string `hcl:"tls_disable,optional"` // 1 or true, with quotes or without
	CertFile   string `hcl:"tls_cert_file,optional"`
	KeyFile    string `hcl:"tls_key_file,optional"`
	Loopback   string `hcl:"trust_loopback,optional"` // this server's own; never behind a proxy
}

// parseConfig reads a configuration whose seal stanzas may name these providers
// and those of package sealconf.
func parseConfig(src []byte, name string, providers []sealconf.Provider) (*config, error) {
	parsed, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		d := diags[0]
		return nil, fmt.Errorf("%s:%d: %s", name, d.Subject.Start.Line, d.Summary) // its detail may quote a secret
	}
	var f file
	if diags := gohcl.DecodeBody(parsed.Body, nil, &f); diags.HasErrors() {
		d := diags[0]
		return nil, fmt.Errorf("%s:%d: %s: %s", name, d.Subject.Start.Line, d.Summary, d.Detail)
	}
	switch {
	case len(f.Storage) != 1 || f.Storage[0].Type != "file":
		return nil, fmt.Errorf("%s: one storage \"file\" block with a path is needed", name)
	case len(f.Listener) != 1 || f.Listener[0].Type != "tcp":
		return nil, fmt.Errorf("%s: one listener \"tcp\" block is needed", name)
	}
	l := f.Listener[0]
	out := &config{address: l.Address, db: filepath.Join(f.Storage[0].Path, "sealwright.db"), cert: l.CertFile, key: l.KeyFile}
	if out.address == "" {
		out.address = "127.0.0.1:8200"
	}
	out.loopback = l.Loopback == "1" || l.Loopback == "true"
	if l.TLSDisable == "1" || l.TLSDisable == "true" {
		out.cert, out.key = "", ""
	} else if l.CertFile == "" || l.KeyFile == "" {
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
