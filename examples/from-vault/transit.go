package main

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// keyName is what a key is called in the new server, which has one mount of them.
func keyName(r *vaultstore.Record) string {
	if r.Namespace == "" && r.Mount == "transit/" {
		return r.Transit.Name
	}
	return strings.ReplaceAll(r.Namespace+r.Mount, "/", "-") + r.Transit.Name
}

// key restores a named key with all its versions, and proves, version by version,
// that the server's is the same: what either makes with it the other accepts.
func (b *bringer) key(ctx context.Context, name string, k *vaultstore.TransitKey) error {
	backup, err := backupOf(k)
	if err != nil {
		return err
	}
	defer clear(backup)
	local, err := newProof(ctx, name, string(backup))
	if err != nil {
		return &refusal{http.StatusBadRequest, []string{err.Error()}}
	}
	err = b.to.call(ctx, http.MethodPut, "transit/restore/"+escaped(name), map[string]string{"backup": string(backup)}, nil)
	if told, ok := errors.AsType[*refusal](err); ok && told.status == http.StatusBadRequest && b.to.call(ctx, http.MethodGet, "transit/keys/"+escaped(name), nil, nil) == nil {
		err = nil // it is there already: the same, or the proof fails
	}
	if err != nil {
		return err
	}
	if err := local.prove(ctx, b.to); err != nil {
		return err
	}
	b.keys++
	return nil
}

// backupOf is a key as the engines back it up, from how they store it.
func backupOf(k *vaultstore.TransitKey) ([]byte, error) {
	text, err := json.Marshal(map[string]json.RawMessage{"policy": k.Policy, "archived_keys": archiveOf(k)})
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return base64.StdEncoding.AppendEncode(nil, text), nil
}

func archiveOf(k *vaultstore.TransitKey) json.RawMessage {
	if len(k.Archive) == 0 {
		return json.RawMessage("null")
	}
	return k.Archive
}

// A proof is the key in this process.
type proof struct {
	name string
	key  *named.Key
}

func newProof(ctx context.Context, name, backup string) (*proof, error) {
	ring, err := throwAway()
	if err != nil {
		return nil, err
	}
	keys, err := named.New(named.Config{
		Keyring: ring, Store: named.NewMemStore(), Keep: func(migrate.Source) {},
		AEADs: map[named.Type]func([]byte) (cipher.AEAD, error){
			named.ChaCha20Poly1305: chacha20poly1305.New, named.XChaCha20Poly1305: chacha20poly1305.NewX,
		},
	})
	if err != nil {
		return nil, err
	}
	if _, err := keys.Restore(ctx, name, backup, false); err != nil {
		return nil, err
	}
	key, err := keys.Key(ctx, name)
	return &proof{name, key}, err
}

// throwAway is a keyring of one key, which is gone with this process.
func throwAway() (*keyring.Keyring, error) {
	owner := keyring.New()
	terms := []keyring.Term{{Number: 1, Active: true}}
	rand.Read(terms[0].Key[:])
	return owner.Keyring(), owner.Install("from-vault", terms)
}

var said = []byte("brought over")

// prove goes through the versions that still work.
func (p *proof) prove(ctx context.Context, to *remote) error {
	info := p.key.Info()
	var have struct {
		Type       string `json:"type"`
		Latest     int    `json:"latest_version"`
		MinDecrypt int    `json:"min_decryption_version"`
	}
	if err := to.call(ctx, http.MethodGet, "transit/keys/"+escaped(p.name), nil, &have); err != nil {
		return err
	}
	if have.Type != string(info.Type) || have.Latest != info.Latest || have.MinDecrypt != max(1, info.MinDecryptionVersion) {
		return differs("key "+p.name, "its type, or its versions,")
	}
	for _, v := range info.Versions {
		if v.Version < info.MinDecryptionVersion || v.Version < info.MinEncryptionVersion {
			continue
		}
		if err := p.proveVersion(ctx, to, info, v); err != nil {
			return fmt.Errorf("key %s, version %d: %w", p.name, v.Version, err)
		}
	}
	return nil
}

func (p *proof) proveVersion(ctx context.Context, to *remote, info named.Info, v named.VersionInfo) error {
	var derive []byte
	body := map[string]any{}
	if info.Derived {
		derive = said
		body["context"] = said
	}
	if info.Type.Encrypts() && !v.PublicOnly {
		m := named.Message{Plaintext: said, Context: derive, Version: v.Version}
		if info.Convergent && v.ConvergentVersion == 1 {
			m.Nonce = make([]byte, 12)
			body["nonce"] = m.Nonce
		}
		text, err := p.key.Encrypt(m)
		if err != nil {
			return err
		}
		body["ciphertext"] = text
		var answer struct{ Plaintext []byte }
		if err := to.call(ctx, http.MethodPut, "transit/decrypt/"+escaped(p.name), body, &answer); err != nil {
			return err
		}
		if string(answer.Plaintext) != string(said) {
			return errors.New("the server decrypts it to something else")
		}
	}
	body = map[string]any{"input": said}
	if info.Derived {
		body["context"] = said
	}
	if info.Type.Signs() && !v.PublicOnly {
		s, err := p.key.Sign(named.Input{Data: said, Context: derive, Version: v.Version})
		if err != nil {
			return err
		}
		if err := verify(ctx, to, p.name, body, "signature", s.Text); err != nil {
			return err
		}
	}
	mac, err := p.key.MAC(named.Input{Data: said, Version: v.Version})
	if errors.Is(err, named.ErrVersion) || errors.Is(err, named.ErrPolicy) || errors.Is(err, named.ErrType) || errors.Is(err, named.ErrInput) {
		return nil // of a version without a key for it
	}
	if err != nil {
		return err
	}
	return verify(ctx, to, p.name, body, "hmac", mac)
}

// verify has the server verify what this process made.
func verify(ctx context.Context, to *remote, name string, body map[string]any, field, text string) error {
	delete(body, "signature")
	body[field] = text
	var answer struct{ Valid bool }
	if err := to.call(ctx, http.MethodPut, "transit/verify/"+escaped(name), body, &answer); err != nil {
		return err
	}
	if !answer.Valid {
		return fmt.Errorf("the server says that the %s is none of the key", field)
	}
	return nil
}
