package transitengine

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/keyring/named"
)

// export lets a key leave in clear, if its settings say that it may; or its
// public half, which may always.
func export(c *call) error {
	kind, version, _ := strings.Cut(c.rest, "/")
	n := 0
	switch {
	case version == "latest":
		n = named.LatestVersion
	case version != "":
		var err error
		if n, err = strconv.Atoi(strings.TrimPrefix(version, "v")); err != nil || n < 0 {
			return badRequest("invalid key version")
		}
	}
	if c.r.URL.Query().Get("format") != "" { // another one would be taken for what was asked for
		return badRequest("format is not supported here: leave it out, and convert what comes")
	}
	switch named.ExportKind(kind) {
	case named.EncryptionKey, named.SigningKey, named.MACKey, named.PublicKey:
	default:
		return badRequest("invalid export type: encryption-key, signing-key, hmac-key and public-key are there")
	}
	info, err := c.h.Keys.Read(c.ctx, c.name)
	if err != nil {
		return missing(stored{err}, "")
	}
	if !info.Exportable && kind != string(named.PublicKey) {
		return badRequest("private key material is not exportable")
	}
	got, err := c.h.Keys.Export(c.ctx, c.name, named.ExportKind(kind), n)
	if err != nil {
		return missing(stored{err}, "")
	}
	keys := map[string]string{}
	for _, v := range got {
		keys[strconv.Itoa(v.Version)] = v.Key.Reveal()
	}
	return c.data(map[string]any{"name": c.name, "type": info.Type, "keys": keys})
}

// backup lets a whole key leave in clear, with its history.
func backup(c *call) error {
	text, err := c.h.Keys.Backup(c.ctx, c.name)
	if err != nil {
		return missing(stored{err}, "")
	}
	return c.data(map[string]any{"backup": text.Reveal()})
}

func restore(c *call) error {
	text, err := c.field("backup").string("backup")
	if err != nil {
		return err
	}
	force, err := c.field("force").bool("force")
	if err != nil {
		return err
	}
	if text == "" {
		return badRequest("'backup' must be supplied")
	}
	if c.name == "" { // the backup names the key: the host did not know which
		if c.name, err = nameIn(text); err != nil {
			return err
		}
		if err := c.authorize(Restore); err != nil {
			return err
		}
	}
	_, err = c.h.Keys.Restore(c.ctx, c.name, text, force)
	if errors.Is(err, named.ErrExists) {
		return badRequest("key already exists: force=true replaces it")
	}
	return err
}

// nameIn returns the name of the key in a backup.
func nameIn(backup string) (string, error) {
	plain, err := base64.StdEncoding.DecodeString(backup)
	defer clear(plain)
	var in struct {
		Policy struct {
			Name string `json:"name"`
		} `json:"policy"`
	}
	if err != nil || json.Unmarshal(plain, &in) != nil || len(in.Policy.Name) > named.MaxName || !isName(in.Policy.Name) {
		return "", badRequest("the backup is no key of a transit engine, or has no name that a key can have")
	}
	return in.Policy.Name, nil
}
