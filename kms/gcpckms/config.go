package gcpckms

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/sealwright/sealwright/kms/provider"
)

// keyName is what the KMS allows in a key's name. A project may carry its
// domain: "example.com:project". Its limits stand in nameLimits: in an expression
// they are what most of its compilation costs, at the start of every program.
var keyName = regexp.MustCompile(`^projects/([A-Za-z0-9.:_-]+)/locations/([a-zA-Z0-9-]+)/keyRings/([a-zA-Z0-9_-]+)/cryptoKeys/([a-zA-Z0-9_-]+)$`)

var nameLimits = [4]int{100, 63, 63, 63}

func isKeyName(name string) bool {
	parts := keyName.FindStringSubmatch(name)
	if parts == nil {
		return false
	}
	for i, limit := range nameLimits {
		if len(parts[i+1]) > limit {
			return false
		}
	}
	return true
}

// check returns what can never work.
func (cfg Config) check() error {
	if strings.Contains(cfg.KeyID, "/cryptoKeyVersions/") {
		return errors.New("KeyID names a version: leave /cryptoKeyVersions/ and what follows out")
	}
	if !isKeyName(cfg.KeyID) {
		return errors.New("KeyID must read projects/P/locations/L/keyRings/R/cryptoKeys/K")
	}
	if cfg.Timeout < 0 {
		return errors.New("the Timeout is negative")
	}
	if cfg.Client != nil {
		if cfg.CredentialsFile != "" || cfg.Token != nil || cfg.AllowEnvironment || cfg.Endpoint != "" || cfg.TLS != nil {
			return errors.New("only KeyID, Timeout and Stale go with Client")
		}
		return nil
	}
	if strings.ContainsAny(cfg.Endpoint, "/?#@ ") {
		return fmt.Errorf("the Endpoint %s must be a host, or host:port, and not a URL", quote(cfg.Endpoint))
	}
	return cfg.checkCredentials()
}

// paths returns cfg with the path that CredentialsFile means, and refuses the
// content of a file in place of its path, as GOOGLE_CREDENTIALS has it for other
// tools.
func (cfg Config) paths() (_ Config, err error) {
	if cfg.CredentialsFile, err = provider.Path("CredentialsFile", cfg.CredentialsFile, cfg.AllowEnvironment); err != nil {
		return cfg, err
	}
	asked := cfg.AllowEnvironment && cfg.CredentialsFile == "" && cfg.Token == nil
	if v := os.Getenv(environmentFile); asked && provider.IsContent(v) {
		_, err = provider.Path(environmentFile, v, true)
	}
	return cfg, err
}

func (cfg Config) checkCredentials() error {
	switch {
	case cfg.CredentialsFile != "" && cfg.Token != nil:
		return errors.New("CredentialsFile and Token are both set: set one")
	case cfg.CredentialsFile == "" && cfg.Token == nil && !cfg.AllowEnvironment:
		return errors.New("no credentials: set CredentialsFile, Token, Client or AllowEnvironment")
	}
	return nil
}
