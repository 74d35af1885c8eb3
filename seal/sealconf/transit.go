package sealconf

import (
	"fmt"
	"strings"

	"github.com/sealwright/sealwright/kms/transit"
)

func transitProvider() Provider {
	return Provider{
		Type: transit.Type,
		Fields: []Field{
			{Name: "address", Required: true, Env: []string{"TRANSIT_WRAPPER_ADDR", "VAULT_TRANSIT_SEAL_ADDR"}, Ambient: []string{"BAO_ADDR", "VAULT_ADDR"}},
			{Name: "token", Env: []string{"TRANSIT_WRAPPER_TOKEN", "VAULT_TRANSIT_SEAL_TOKEN"}, Ambient: []string{"BAO_TOKEN", "VAULT_TOKEN"}},
			{Name: "key_name", Required: true, Env: []string{"TRANSIT_WRAPPER_KEY_NAME", "VAULT_TRANSIT_SEAL_KEY_NAME"}},
			{Name: "mount_path", Required: true, Env: []string{"TRANSIT_WRAPPER_MOUNT_PATH", "VAULT_TRANSIT_SEAL_MOUNT_PATH"}},
			{Name: "namespace", Ambient: []string{"BAO_NAMESPACE", "VAULT_NAMESPACE"}},
			{Name: "disable_renewal", Env: []string{"TRANSIT_WRAPPER_DISABLE_RENEWAL", "VAULT_TRANSIT_SEAL_DISABLE_RENEWAL"}},
			{Name: "key_id_prefix"},
			{Name: "tls_ca_cert", Group: "tls", Ambient: []string{"BAO_CACERT", "VAULT_CACERT"}},
			{Name: "tls_ca_path", Group: "tls", Ambient: []string{"BAO_CAPATH", "VAULT_CAPATH"}},
			{Name: "tls_client_cert", Group: "tls", Ambient: []string{"BAO_CLIENT_CERT", "VAULT_CLIENT_CERT"}},
			{Name: "tls_client_key", Group: "tls", Ambient: []string{"BAO_CLIENT_KEY", "VAULT_CLIENT_KEY"}},
			{Name: "tls_server_name", Group: "tls", Ambient: []string{"BAO_TLS_SERVER_NAME", "VAULT_TLS_SERVER_NAME"}},
			{Name: "tls_skip_verify", Group: "tls", Ambient: []string{"BAO_SKIP_VERIFY", "VAULT_SKIP_VERIFY"}},
			{Name: "allow_plain_http"},
		},
		Build: buildTransit,
		Renamed: map[string]string{
			"Address": "address", "Token": "token", "TokenFile": "token", "KeyName": "key_name", "MountPath": "mount_path",
			"Namespace": "namespace", "KeyIDPrefix": "key_id_prefix", "CACert": "tls_ca_cert", "CAPath": "tls_ca_path",
			"ClientCert": "tls_client_cert", "ClientKey": "tls_client_key", "ServerName": "tls_server_name",
			"SkipVerify": "tls_skip_verify", "AllowPlainHTTP": "allow_plain_http = true",
		},
	}
}

func buildTransit(v Values) (Made, error) {
	t, err := v.Texts("address", "key_name", "mount_path", "namespace", "key_id_prefix", "tls_server_name")
	if err != nil {
		return Made{}, err
	}
	p, err := v.Paths("tls_ca_cert", "tls_ca_path", "tls_client_cert", "tls_client_key")
	if err != nil {
		return Made{}, err
	}
	cfg := transit.Config{
		Address: t["address"], KeyName: t["key_name"], MountPath: t["mount_path"], Namespace: t["namespace"],
		KeyIDPrefix: t["key_id_prefix"], CACert: p["tls_ca_cert"], CAPath: p["tls_ca_path"],
		ClientCert: p["tls_client_cert"], ClientKey: p["tls_client_key"], ServerName: t["tls_server_name"],
	}
	if path, ok := v.File("token"); ok {
		cfg.TokenFile = path
	} else if cfg.Token, err = v.Text("token"); err != nil {
		return Made{}, err
	}
	if cfg.Token == "" && cfg.TokenFile == "" {
		return Made{}, fmt.Errorf("token is required")
	}
	for name, to := range map[string]*bool{"tls_skip_verify": &cfg.SkipVerify, "disable_renewal": &cfg.DisableRenewal, "allow_plain_http": &cfg.AllowPlainHTTP} {
		if *to, err = v.Bool(name); err != nil {
			return Made{}, err
		}
	}
	w, err := transit.New(cfg)
	if err != nil && strings.HasPrefix(cfg.Address, "http://") {
		// Only where nothing else is wrong is it for http that it was refused.
		allowed := cfg
		allowed.AllowPlainHTTP = true
		if _, other := transit.New(allowed); other != nil {
			return Made{}, other
		}
		return Made{}, fmt.Errorf("%w (Vault accepts http to another machine; here it is refused, since the token and the keys travel in the clear)", err)
	}
	if err != nil {
		return Made{}, err
	}
	made := Made{Wrapper: w}
	if !cfg.DisableRenewal {
		made.Run = w.Run
	}
	return made, nil
}
