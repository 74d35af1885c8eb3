// Package cloudstore opens the store in a directory by the seal stanzas of a
// configuration, in the syntax of Vault and OpenBao.
package cloudstore

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// A Place says where a store is, and what opens it.
type Place struct {
	Config      string // the file with the stanzas
	Dir         string // the record is in record.json there
	Environment bool   // the variables of Vault and of the clouds may be read
	Fakes       string // the file of a fakeclouds.Clouds; "" for the true clouds

	Store seal.Store // where the record is instead, for a server with a database
}

// Flags registers a flag for each field.
func (p *Place) Flags(set *flag.FlagSet) {
	set.StringVar(&p.Config, "config", "", "the `file` with the seal stanzas, as Vault has them")
	set.StringVar(&p.Dir, "dir", "", "the `directory` of the store")
	set.BoolVar(&p.Environment, "env", false, "read the variables that Vault and the clouds' SDKs read")
	set.StringVar(&p.Fakes, "fakes", "", "internal: the `file` that says where the fake clouds are")
}

// Record is the file that the record is in.
func (p *Place) Record() string { return filepath.Join(p.Dir, "record.json") }

// Stanzas reads the configuration.
func (p *Place) Stanzas() ([]sealconf.Stanza, error) {
	if p.Config == "" || p.Dir == "" && p.Store == nil {
		return nil, errors.New("-config and -dir are required; -demo shows the whole without an account")
	}
	src, err := os.ReadFile(p.Config)
	if err != nil {
		return nil, fmt.Errorf("-config: %w", err)
	}
	stanzas, err := sealconf.Parse(src, p.Config)
	if err == nil && len(stanzas) == 0 {
		err = fmt.Errorf("%s has no seal stanza: write seal \"azurekeyvault\" { … }, or another type, as Vault has it", p.Config)
	}
	return stanzas, err
}

// Open returns a sealed Barrier, and what the stanzas come to; its notes also say
// what is doubtful about the place. Base is what the caller wants besides; the
// store and all that the stanzas say is set.
func (p *Place) Open(base seal.Config) (*seal.Barrier, *sealconf.Setup, error) {
	stanzas, err := p.Stanzas()
	if err != nil {
		return nil, nil, err
	}
	providers, err := fakeclouds.Providers(p.Fakes)
	if err != nil {
		return nil, nil, err
	}
	setup, err := sealconf.Build(stanzas, sealconf.Options{Providers: providers, AllowEnvironment: p.Environment})
	if err != nil {
		return nil, nil, err
	}
	if base.Store = p.Store; p.Store == nil {
		file, err := filestore.Open(p.Record())
		if err != nil {
			return nil, nil, err
		}
		setup.Notes = append(setup.Notes, file.Warnings()...)
		base.Store = file
	}
	setup.Apply(&base)
	// As Vault believes it, until the operator writes the pins: the notes say so.
	base.TrustUnpinned = base.TrustUnpinned || len(base.Pins) == 0 && len(setup.Forgeable) > 0
	b, err := seal.Open(base)
	return b, setup, err
}
