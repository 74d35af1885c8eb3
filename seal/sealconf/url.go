package sealconf

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// ParseURL reads a stanza from one line: azurekeyvault://VAULT/KEY?tenant_id=…,
// awskms:///alias/NAME?region=…, awskms:///ARN, gcpckms://PROJECT/REGION/RING/KEY,
// transit://HOST/MOUNT/KEY, localkms:///PATH. The query sets further fields. A URL ends up in
// logs and process lists, so it holds no secrets: those are references, or left
// to the environment.
func ParseURL(text string) (Stanza, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Opaque != "" || u.Fragment != "" {
		return Stanza{}, fmt.Errorf("%w: a seal URL is TYPE://…, without white space and #", ErrConfig)
	}
	s := Stanza{Type: u.Scheme, fields: map[string]func() []string{}}
	if u.User != nil {
		return Stanza{}, s.errorf("a URL holds no credentials: refer to them, as with client_secret=file:///path")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Stanza{}, s.errorf("what follows the ? is not name=value&name=value")
	}
	for name, values := range query {
		if isSecret(name) && !slices.ContainsFunc(values, isReference) {
			return Stanza{}, s.errorf("%s is a secret, and a URL holds none: refer to it, as with %s=file:///path", name, name)
		}
		if len(values) > 1 {
			return Stanza{}, s.errorf("%s stands twice in the URL", name)
		}
		s.fields[name] = func() []string { return values }
	}
	names, parts, err := s.parts(u.Host, strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		return Stanza{}, err
	}
	if len(parts) != len(names) || slices.Contains(parts, "") {
		return Stanza{}, s.errorf("the URL names %s, one after the other", strings.Join(names, ", "))
	}
	for i, name := range names {
		if _, twice := s.fields[name]; twice {
			return Stanza{}, s.errorf("%s stands twice in the URL", name)
		}
		s.fields[name] = func() []string { return parts[i : i+1] }
	}
	return s, s.common()
}

// parts splits host and path of a URL into the fields that they are.
func (s *Stanza) parts(host, path string) (names, parts []string, err error) {
	switch s.Type {
	case "azurekeyvault":
		return []string{"vault_name", "key_name"}, []string{host, path}, nil
	case "awskms":
		if host != "" {
			return nil, nil, s.errorf("three slashes stand before the key, as in awskms:///alias/NAME")
		}
		return []string{"kms_key_id"}, []string{path}, nil
	case "localkms":
		if host != "" {
			return nil, nil, s.errorf("three slashes stand before the file, as in localkms:///path")
		}
		return []string{"path"}, []string{strings.TrimSuffix("/"+path, "/")}, nil
	case "gcpckms":
		return []string{"project", "region", "key_ring", "crypto_key"}, append([]string{host}, strings.Split(path, "/")...), nil
	case "transit":
		if host != "" {
			host = "https://" + host
		}
		i := strings.LastIndex(path, "/")
		return []string{"address", "mount_path", "key_name"}, []string{host, path[:max(i, 0)], path[i+1:]}, nil
	}
	return nil, nil, s.errorf("this type has no URL form")
}
