// Package sealconf reads seal stanzas as operators of Vault and OpenBao write
// them, and makes of them what a [seal.Barrier] needs: wrappers, and the slots
// that the configuration wants.
//
//	seal "azurekeyvault" {
//	  tenant_id     = "46646709-b63e-4747-be42-516edeaf1e14"
//	  client_id     = "03dc33fc-16d9-4b77-8152-3ec568f8af6e"
//	  client_secret = "file:///run/secrets/azure"
//	  vault_name    = "hc-vault"
//	  key_name      = "vault_key"
//	}
//
// Do not use it where the host has a configuration of its own: the providers'
// Config structs say the same in Go.
//
// # Stanzas
//
// A stanza has a type, and may have a name; without one its type is its name.
// The name is that of the wrapper in [seal.Config.KMS], and of the slot. Types
// that a [Provider] reads make a wrapper and want a slot; disabled = "true"
// makes the wrapper and wants no slot, so that a store can be moved away from
// it. Every other block of a file is left alone, so that a server's whole
// configuration may be given.
//
//	shamir     shares, threshold: a slot held by people; without both, nothing
//	static     current_key_id, current_key, …: an AES-256 key, as OpenBao has it
//	transit    address, token, mount_path, key_name, …: Vault's or OpenBao's transit engine
//	threshold  threshold = 2, of = ["azurekeyvault", "awskms", "gcpckms"]: two of these three
//
// A stanza that a threshold names is a part of that slot's tree, and wants no
// slot of its own. Any stanza may have a pin: the fingerprint of its slot as
// [seal.SlotStatus] shows it. Without any pin the store is believed unpinned,
// as Vault believes it, and Status says so.
//
// # Values
//
// Any value may be a reference: "file:///path" is the content of that file,
// without the white space around it, for some credentials read anew whenever
// they are renewed; "env://NAME" is a variable. Variables are read only with
// [Options.AllowEnvironment]: then also those that Vault and OpenBao read, for
// fields that are not set. In Vault a variable beats what is written; here one
// that contradicts it is an error that names both.
//
// A field that is unknown is an error that names the known ones, except fields
// that Vault accepts and that mean nothing here: those are reported in
// [Setup.Notes].
//
// The syntax is HCL 2, which reads what Vault's HCL 1 reads with two exceptions:
// each field stands on a line of its own, and ${ in a text is written $${.
//
// # Weight
//
// This package links no cloud's SDK. Packages azureseal, awsseal and gcpseal
// beside it hold the providers; a program links those it names.
//
// # Errors
//
// Every error is [ErrConfig], says where in the file, and shows no value.
package sealconf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

// ErrConfig is returned for a configuration that cannot work.
var ErrConfig = errors.New("sealconf: configuration")

// Options are what [Build] may use.
type Options struct {
	// Providers are the types that stanzas may have, beside shamir, threshold,
	// static and transit.
	Providers []Provider

	// AllowEnvironment lets variables fill fields that are not set, and be
	// referred to by env://.
	AllowEnvironment bool
}

// A Setup is what a configuration comes to.
type Setup struct {
	KMS      map[string]kms.Wrapper // by stanza name
	Slots    map[string]seal.Spec   // the slots that are wanted, by name
	Disabled []string               // the stanzas that are disabled: slots to move away from
	Pins     []string
	Notes    []string // what was accepted and means nothing here

	// Run holds what must run beside the barrier, such as the renewal of a
	// token. Each returns the context's error when that ends, and another one
	// earlier where it can't go on, which is worth a warning and no more.
	Run []func(context.Context) error
}

// Apply puts the wrappers and pins into cfg.
func (s *Setup) Apply(cfg *seal.Config) {
	cfg.KMS = s.KMS
	cfg.Pins = s.Pins
	cfg.Unpinned = len(s.Pins) == 0
}

// Build makes wrappers and wanted slots of the stanzas. It makes no request.
func Build(stanzas []Stanza, o Options) (*Setup, error) {
	providers := append([]Provider{shamirProvider(), thresholdProvider(), staticProvider(), transitProvider()}, o.Providers...)
	out := &Setup{KMS: map[string]kms.Wrapper{}, Slots: map[string]seal.Spec{}}
	specs := map[string]seal.Spec{}
	var trees []tree
	for i := range stanzas {
		st := &stanzas[i]
		if _, ok := specs[st.Name]; ok {
			return nil, st.errorf("a second stanza is named %q: give each a name of its own, as name = \"second\"", st.Name)
		}
		p := slices.IndexFunc(providers, func(p Provider) bool { return p.Type == st.Type })
		if p < 0 {
			return nil, st.errorf("unknown seal type %q: known are %s", st.Type, typesOf(providers))
		}
		values, notes, err := st.values(&providers[p], &o)
		if err != nil {
			return nil, err
		}
		out.Notes = append(out.Notes, notes...)
		if st.Pin != "" {
			out.Pins = append(out.Pins, st.Pin)
		}
		made, err := providers[p].Build(values)
		if err != nil {
			return nil, st.errorf("%w", err)
		}
		if made.Wrapper != nil {
			out.KMS[st.Name] = made.Wrapper
			made.Spec = seal.KMS{Name: st.Name}
		}
		if made.Run != nil {
			out.Run = append(out.Run, made.Run)
		}
		if st.Disabled {
			if st.Type == "shamir" {
				return nil, st.errorf("a shamir seal cannot be disabled: leave it out, or drop its slot")
			}
			out.Disabled = append(out.Disabled, st.Name)
		}
		specs[st.Name] = made.Spec
		if made.of != nil {
			trees = append(trees, tree{st, made.of, made.k})
		} else if made.Spec != nil && !st.Disabled {
			out.Slots[st.Name] = made.Spec
		}
	}
	if err := plant(trees, specs, out); err != nil {
		return nil, err
	}
	return out, nil
}

// A tree is a threshold stanza whose children are not resolved yet.
type tree struct {
	stanza *Stanza
	of     []string
	k      int
}

// plant resolves the children of the trees, innermost first.
func plant(trees []tree, specs map[string]seal.Spec, out *Setup) error {
	for len(trees) > 0 {
		next := slices.IndexFunc(trees, func(t tree) bool {
			return !slices.ContainsFunc(t.of, func(name string) bool { return specs[name] == nil })
		})
		if next < 0 {
			t := trees[0]
			return t.stanza.errorf("of = %q names a stanza that is not there, has no shape, or is the tree itself", strings.Join(t.of, ", "))
		}
		t := trees[next]
		trees = slices.Delete(trees, next, next+1)
		var children []seal.Spec
		for i, name := range t.of {
			if slices.Contains(t.of[:i], name) {
				return t.stanza.errorf("of names %q twice", name)
			}
			if slices.Contains(out.Disabled, name) && !t.stanza.Disabled {
				return t.stanza.errorf("of names %q, which is disabled", name)
			}
			children = append(children, specs[name])
			delete(out.Slots, name)
		}
		specs[t.stanza.Name] = seal.Threshold{K: t.k, Of: children}
		if !t.stanza.Disabled {
			out.Slots[t.stanza.Name] = specs[t.stanza.Name]
		}
	}
	return nil
}

func typesOf(providers []Provider) string {
	var names []string
	for _, p := range providers {
		names = append(names, p.Type)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (s *Stanza) errorf(format string, args ...any) error {
	where := s.Where
	if where != "" {
		where += ": "
	}
	return fmt.Errorf("%w: %sseal %q: %w", ErrConfig, where, s.Type, fmt.Errorf(format, args...))
}
