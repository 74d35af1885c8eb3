package vaultstore

import (
	"bytes"
	"encoding/json"
)

// The keys of the entries that protect all others.
const (
	pathSealConfig     = "core/seal-config"
	pathRecoveryConfig = "core/recovery-config"
	pathStoredKeys     = "core/hsm/barrier-unseal-keys"
	pathRecoveryKey    = "core/recovery-key"
	pathKeyring        = "core/keyring"
	pathRootKey        = "core/root-key" // of OpenBao since 2.4
	pathMasterKey      = "core/master"   // of Vault, and of OpenBao before
	pathShamirKEK      = "core/shamir-kek"
	pathUpgrade        = "core/upgrade/" // and a term
	pathInit           = "barrier/init"  // before there were keyrings
)

// typeShamir is the type of a seal of shares.
const typeShamir = "shamir"

// A SealConfig is what core/seal-config or core/recovery-config says.
type SealConfig struct {
	Type      string // "shamir", "awskms", "static", …
	Shares    int
	Threshold int

	// Stored is how many keys are stored, -1 where the entry does not say. Of a
	// Shamir seal 0 means, to Vault, that the shares are of the root key itself.
	Stored int

	fields map[string]json.RawMessage // all there are, for a copy
}

const maxConfig = 1 << 20

func parseSealConfig(key string, value []byte) (*SealConfig, error) {
	text, err := decompress(value, maxConfig)
	if err != nil {
		return nil, damaged(key, "%v", err)
	}
	var in struct {
		Type      string `json:"type"`
		Shares    int    `json:"secret_shares"`
		Threshold int    `json:"secret_threshold"`
		Stored    *int   `json:"stored_shares"`
	}
	c := new(SealConfig)
	text = bytes.TrimSpace(text)
	if err := json.Unmarshal(text, &in); err != nil || len(text) == 0 || text[0] != '{' {
		return nil, damaged(key, "it is cut, or no JSON object")
	}
	if err := json.Unmarshal(text, &c.fields); err != nil {
		return nil, damaged(key, "it is no JSON object")
	}
	if in.Shares < 0 || in.Shares > 255 || in.Threshold < 0 || in.Threshold > in.Shares {
		return nil, damaged(key, "it says %d of %d shares", in.Threshold, in.Shares)
	}
	c.Type, c.Shares, c.Threshold, c.Stored = in.Type, in.Shares, in.Threshold, -1
	if c.Type == "" {
		c.Type = typeShamir
	}
	if in.Stored != nil {
		c.Stored = *in.Stored
	}
	return c, nil
}

// shamir reports whether people's shares open the store.
func (c *SealConfig) shamir() bool { return c.Type == typeShamir }

// encode returns the entry of a config, with the fields that there were and the
// values of now. stored_shares is always said: Vault takes its absence for 0, and
// OpenBao reads it over.
func (c *SealConfig) encode() []byte {
	out := map[string]any{}
	for name, value := range c.fields {
		out[name] = value
	}
	// Whose PGP keys there were is of no use: their number must be that of shares.
	out["pgp_keys"], out["nonce"], out["backup"] = nil, "", false
	out["type"], out["secret_shares"], out["secret_threshold"] = c.Type, c.Shares, c.Threshold
	out["stored_shares"] = max(c.Stored, 0)
	text, _ := json.Marshal(out) // of names, numbers and JSON
	return text
}
