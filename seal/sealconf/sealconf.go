// Package sealconf reads seal stanzas as operators of Vault and OpenBao write
// them, and makes of them what a [seal.Barrier] needs: wrappers, and the slots
// that the configuration wants.
//
//	seal "azurekeyvault" {
//	  tenant_id     = "46646709-b63e-4747-be42-516edeaf1e14"
//	  client_id     = "03dc33fc-16d9-4b77-8152-3ec568f8af6e"
//	  client_secret = "file:///run/secrets/azure"
//	  vault_name    = "hc-vault"
//	  key_name      = "vault-key"
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
// configuration may be given. As in Vault, a block kms is a stanza too, and
// upper case is lower case in both words.
//
//	shamir     shares, threshold: a slot held by people; without both, nothing
//	static     current_key_id, current_key, previous_key_id, previous_key: an AES-256 key, as OpenBao has it
//	localkms   path: a key in a file, of package localkms
//	transit    address, token, mount_path, key_name, …: Vault's or OpenBao's transit engine
//	threshold  threshold = 2, of = ["azurekeyvault", "awskms", "gcpckms"]: two of these three
//
// The others are packages beside their providers, so that a program links, and
// downloads, the clouds that it names:
//
//	azurekeyvault  kms/azurekeyvault/azureseal
//	awskms         kms/awskms/awsseal
//	gcpckms        kms/gcpckms/gcpseal
//
// A stanza that a threshold names is a part of that slot's tree, and wants no
// slot of its own. Any stanza may have a pin: the fingerprint of its slot as
// [seal.SlotStatus] shows it; or say unpinned = "true", and the store is
// believed without, as Vault believes it, and Status says so.
//
// # Values
//
// Any value may be a reference: "file:///path" is the content of that file,
// without the white space around it, and "env://NAME" is a variable. In a field
// that names a file, file:// says the same as the path alone. What is written
// and empty counts as not written, as templates leave it.
//
// A file is read when it is needed, and read again when it is needed again: a
// secret may be mounted late or replaced, and one that is missing is an error of
// the call and keeps no server from starting. Once read, and never again, are
// references in fields that hold no secret.
//
// A field that is unknown is an error that names the known ones, except fields
// that Vault accepts and that mean nothing here: those are reported in
// [Setup.Notes].
//
// # Variables
//
// Variables are read only with [Options.AllowEnvironment]. A field that is not
// written is filled by them. Of those that contradict a written field there are
// two kinds. What documentation gives to the seal alone (VAULT_AWSKMS_SEAL_KEY_ID,
// VAULT_AZUREKEYVAULT_…, VAULT_GCPCKMS_SEAL_…, VAULT_TRANSIT_SEAL_…,
// BAO_STATIC_SEAL_…, …_WRAPPER_…) is an error that names both: in Vault the
// variable wins, here nothing is guessed. What platforms and other programs set
// (AWS_REGION on EKS, AZURE_CLIENT_ID of the webhook, VAULT_ADDR of an agent)
// gives way to the field, with a note. VAULT_SEAL_TYPE, or BAO_SEAL_TYPE, stands
// for a stanza where there is none, and contradicts those of other types.
//
// # A static key that is rotated
//
// As OpenBao documents it: the new key becomes current_key under an id of its
// own, and the old one previous_key, with its id. What the old one wrapped still
// opens, and what is wrapped anew is wrapped with the new one; the wrapper's
// Probe names the new one, so that the barrier can tell that a slot is still
// wrapped with another. Only when no slot is any more may previous_key go. A
// key's version is a fingerprint of it: other bytes under an old id are another
// key, and [kms.ErrWrongKey] says so.
//
// # Syntax
//
// It is HCL 1, as Vault and OpenBao read it: fields end without a mark or with a
// comma, names may stand in quotes, { may stand on the next line, and ${ in a
// text is left as it is. A file that begins with a brace is JSON. A field that
// stands twice is an error, as it is in new versions of both.
//
// # Errors
//
// Every error is [ErrConfig], says where in the file, and shows no value.
package sealconf

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	// static, transit and localkms.
	Providers []Provider

	// AllowEnvironment lets variables fill fields that are not written, and be
	// referred to by env://; and VAULT_SEAL_TYPE or BAO_SEAL_TYPE stand for a
	// stanza where there is none.
	AllowEnvironment bool
}

// A Setup is what a configuration comes to.
type Setup struct {
	KMS      map[string]kms.Wrapper // by stanza name
	Slots    map[string]seal.Spec   // the slots that are wanted, by name
	Disabled []string               // the stanzas that are disabled: slots to move away from
	Pins     []string
	Unpinned bool // a stanza says unpinned = "true"

	// Forgeable are the slots, by name, that whoever can write to the store
	// could make, and that no stanza says what to do about: with pin or with
	// unpinned. A process that starts will not unseal with them, unless the host
	// sets [seal.Config.TrustUnpinned] or gives pins of its own.
	Forgeable []string

	// Notes say, one a line and in the stanza's words, what an operator would
	// want to know of and is no error: a field that means nothing here, a
	// variable that fills a field or does not count beside one, a slot that
	// needs a pin. They hold no value of a secret. Log them at each start.
	Notes []string

	// Run holds what must run beside the barrier, such as the renewal of a
	// token. Each returns the context's error when that ends, and another one
	// earlier where it can't go on, which is worth a warning and no more.
	Run []func(context.Context) error
}

// Apply puts the wrappers into cfg, beside those that it has, and pins where
// stanzas have them. It sets [seal.Config.TrustUnpinned] only where one says so.
func (s *Setup) Apply(cfg *seal.Config) {
	merged := maps.Clone(cfg.KMS)
	if merged == nil {
		merged = map[string]kms.Wrapper{}
	}
	maps.Copy(merged, s.KMS)
	cfg.KMS = merged
	cfg.Pins = slices.Concat(cfg.Pins, s.Pins)
	cfg.TrustUnpinned = cfg.TrustUnpinned || s.Unpinned
}

// Build makes wrappers and wanted slots of the stanzas. It makes no request, and
// reads no file that may be rotated: a key or a credential that is missing is an
// error of the call that needs it.
func Build(stanzas []Stanza, o Options) (*Setup, error) {
	stanzas, err := typed(stanzas, &o)
	if err != nil {
		return nil, err
	}
	providers := append([]Provider{shamirProvider(), thresholdProvider(), staticProvider(), transitProvider(), localProvider()}, o.Providers...)
	out := &Setup{KMS: map[string]kms.Wrapper{}, Slots: map[string]seal.Spec{}}
	specs := map[string]seal.Spec{}
	var trees []tree
	for i := range stanzas {
		st := &stanzas[i]
		if _, ok := specs[st.Name]; ok {
			return nil, st.errorf("a second stanza is named %q: give each a name of its own, as name = \"second\"", st.Name)
		}
		made, err := st.build(providers, &o, out)
		if err != nil {
			return nil, err
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
	if len(out.Pins) > 0 && out.Unpinned {
		return nil, fmt.Errorf("%w: one stanza has a pin, and another says unpinned: pin them all, or none", ErrConfig)
	}
	return out, nil
}

// build makes what one stanza says, and adds it to out.
func (s *Stanza) build(providers []Provider, o *Options, out *Setup) (Made, error) {
	i := slices.IndexFunc(providers, func(p Provider) bool { return p.Type == s.Type })
	if i < 0 {
		return Made{}, s.errorf("unknown seal type: known are %s", typesOf(providers))
	}
	values, notes, err := s.values(&providers[i], o)
	if err != nil {
		return Made{}, err
	}
	made, err := providers[i].Build(values)
	if err != nil {
		return Made{}, s.errorf("%w", providers[i].renamed(err))
	}
	out.Notes = append(out.Notes, notes...)
	out.Unpinned = out.Unpinned || s.Unpinned
	if s.Pin != "" {
		out.Pins = append(out.Pins, s.Pin)
	}
	if made.Wrapper != nil {
		out.KMS[s.Name] = made.Wrapper
		made.Spec = seal.KMS{Wrapper: s.Name}
		if _, ok := made.Wrapper.(kms.Authenticator); s.Pin == "" && !s.Unpinned && (made.Forgeable || !ok) {
			out.Forgeable = append(out.Forgeable, s.Name)
			out.Notes = append(out.Notes, s.note("this key's blobs could be made by whoever can write to the store: once the slot is made, write its fingerprint as pin = \"…\", or a start won't unseal with it; unpinned = \"true\" believes it, as Vault does"))
		}
	}
	if made.Run != nil {
		out.Run = append(out.Run, made.Run)
	}
	if s.Disabled {
		if s.Type == "shamir" {
			return made, s.errorf("a shamir seal cannot be disabled: leave it out, or drop its slot")
		}
		out.Disabled = append(out.Disabled, s.Name)
	}
	return made, nil
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
