package sealconf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/seal"
)

func shamirProvider() Provider {
	return Provider{
		Type:   "shamir",
		Fields: []Field{{Name: "shares"}, {Name: "threshold"}},
		Build: func(v Values) (Made, error) {
			if !v.Has("shares") && !v.Has("threshold") {
				return Made{}, nil // as Vault has it: whoever inits says how many
			}
			n, err := number(v, "shares")
			if err != nil {
				return Made{}, err
			}
			t, err := number(v, "threshold")
			if err != nil {
				return Made{}, err
			}
			return Made{Spec: seal.Shamir{Shares: n, Threshold: t}}, nil
		},
	}
}

func thresholdProvider() Provider {
	return Provider{
		Type:   "threshold",
		Fields: []Field{{Name: "threshold", Required: true}, {Name: "of", Required: true}},
		Build: func(v Values) (Made, error) {
			k, err := number(v, "threshold")
			if err != nil {
				return Made{}, err
			}
			of := v.List("of")
			if k < 2 || k > len(of) {
				return Made{}, fmt.Errorf("threshold is 2 to %d, the number of names in of", len(of))
			}
			return Made{of: of, k: k}, nil
		},
	}
}

func number(v Values, name string) (int, error) {
	text, err := v.Text(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s is a number", name)
	}
	return n, nil
}

func transitProvider() Provider {
	return Provider{
		Type: "transit",
		Fields: []Field{
			{Name: "address", Required: true, Env: []string{"TRANSIT_WRAPPER_ADDR", "VAULT_ADDR"}},
			{Name: "token", Env: []string{"TRANSIT_WRAPPER_TOKEN", "VAULT_TOKEN"}},
			{Name: "key_name", Required: true, Env: []string{"TRANSIT_WRAPPER_KEY_NAME", "VAULT_TRANSIT_SEAL_KEY_NAME"}},
			{Name: "mount_path", Required: true, Env: []string{"TRANSIT_WRAPPER_MOUNT_PATH", "VAULT_TRANSIT_SEAL_MOUNT_PATH"}},
			{Name: "namespace", Env: []string{"VAULT_NAMESPACE"}},
			{Name: "disable_renewal", Env: []string{"TRANSIT_WRAPPER_DISABLE_RENEWAL", "VAULT_TRANSIT_SEAL_DISABLE_RENEWAL"}},
			{Name: "key_id_prefix"},
			{Name: "tls_ca_cert", Env: []string{"VAULT_CACERT"}},
			{Name: "tls_ca_path"},
			{Name: "tls_client_cert", Env: []string{"VAULT_CLIENT_CERT"}},
			{Name: "tls_client_key", Env: []string{"VAULT_CLIENT_KEY"}},
			{Name: "tls_server_name", Env: []string{"VAULT_TLS_SERVER_NAME"}},
			{Name: "tls_skip_verify", Env: []string{"VAULT_SKIP_VERIFY"}},
			{Name: "allow_plain_http"},
		},
		Build: func(v Values) (Made, error) {
			t, err := v.Texts("address", "key_name", "mount_path", "namespace", "key_id_prefix",
				"tls_ca_cert", "tls_ca_path", "tls_client_cert", "tls_client_key", "tls_server_name")
			if err != nil {
				return Made{}, err
			}
			cfg := transit.Config{
				Address: t["address"], KeyName: t["key_name"], MountPath: t["mount_path"], Namespace: t["namespace"],
				KeyIDPrefix: t["key_id_prefix"], CACert: t["tls_ca_cert"], CAPath: t["tls_ca_path"],
				ClientCert: t["tls_client_cert"], ClientKey: t["tls_client_key"], ServerName: t["tls_server_name"],
			}
			if path, ok := v.File("token"); ok {
				cfg.TokenFile = path
			} else if cfg.Token, err = v.Text("token"); err != nil {
				return Made{}, err
			}
			if cfg.SkipVerify, err = v.Bool("tls_skip_verify"); err != nil {
				return Made{}, err
			}
			if cfg.DisableRenewal, err = v.Bool("disable_renewal"); err != nil {
				return Made{}, err
			}
			if cfg.AllowPlainHTTP, err = v.Bool("allow_plain_http"); err != nil {
				return Made{}, err
			}
			w, err := transit.New(cfg)
			if err != nil && strings.HasPrefix(cfg.Address, "http://") && !cfg.AllowPlainHTTP {
				return Made{}, fmt.Errorf("%w (Vault accepts http to another machine; here it is refused, since the token and the keys travel in the clear, unless the stanza says allow_plain_http = true)", err)
			}
			if err != nil {
				return Made{}, err
			}
			made := Made{Wrapper: w}
			if !cfg.DisableRenewal {
				made.Run = w.Run
			}
			return made, nil
		},
	}
}

func staticProvider() Provider {
	return Provider{
		Type: "static",
		Fields: []Field{
			{Name: "current_key_id", Required: true, Env: []string{"BAO_STATIC_SEAL_CURRENT_KEY_ID"}},
			{Name: "current_key", Required: true, Env: []string{"BAO_STATIC_SEAL_CURRENT_KEY"}},
			{Name: "previous_key_id", Env: []string{"BAO_STATIC_SEAL_PREVIOUS_KEY_ID"}},
			{Name: "previous_key", Env: []string{"BAO_STATIC_SEAL_PREVIOUS_KEY"}},
		},
		Build: func(v Values) (Made, error) {
			if v.Has("previous_key") != v.Has("previous_key_id") {
				return Made{}, errors.New("previous_key_id and previous_key go together")
			}
			w := &staticWrapper{}
			for _, which := range []string{"current", "previous"} {
				id, err := v.Text(which + "_key_id")
				if err != nil {
					return Made{}, err
				}
				if id == "" {
					continue
				}
				text, err := v.Text(which + "_key")
				if err != nil {
					return Made{}, err
				}
				if err := w.add(id, text); err != nil {
					return Made{}, err
				}
			}
			return Made{Wrapper: w}, nil
		},
	}
}
