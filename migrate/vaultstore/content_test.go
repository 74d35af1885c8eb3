package vaultstore_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/migrate/vaultstore"
	"github.com/sealwright/sealwright/shamir"
)

// put writes an entry under the active term.
func (b *bench) put(path, text string) { b.seal(b.dek, b.term, path, []byte(text)) }

// msg is a protobuf message of fields: a number, and a uint64, a string, or bytes.
func msg(parts ...any) []byte {
	var out []byte
	for i := 0; i < len(parts); i += 2 {
		n := uint64(parts[i].(int))
		switch v := parts[i+1].(type) {
		case int:
			out = binary.AppendUvarint(binary.AppendUvarint(out, n<<3), uint64(v))
		case string:
			out = append(binary.AppendUvarint(binary.AppendUvarint(out, n<<3|2), uint64(len(v))), v...)
		case []byte:
			out = append(binary.AppendUvarint(binary.AppendUvarint(out, n<<3|2), uint64(len(v))), v...)
		}
	}
	return out
}

// mountsOf replaces the table of mounts.
func (b *bench) mountsOf(entries ...string) {
	b.put("core/mounts", `{"type":"mounts","entries":[`+strings.Join(entries, ",")+`]}`)
}

func entryOf(path, kind, uuid, version, more string) string {
	return fmt.Sprintf(`{"table":"mounts","path":%q,"type":%q,"uuid":%q,"backend_aware_uuid":%q,"options":{"version":%q},"unknown":[1]%s}`, path, kind, uuid, "b-"+uuid, version, more)
}

// kv2 writes a secret of version 2 with unknown fields all over.
func (b *bench) kv2(prefix, path string, meta []byte, versions map[int]string) {
	salt := "5ab00000-0000-0000-0000-000000000000"
	b.put(prefix+"salt", salt)
	b.seal(b.dek, b.term, prefix+"metadata/"+hex.EncodeToString([]byte(path)), append(msg(1, path, 99, "later"), meta...))
	for n, data := range versions {
		sum := sha256.Sum256([]byte(salt + path + "|" + fmt.Sprint(n)))
		name := hex.EncodeToString(sum[:])
		b.seal(b.dek, b.term, prefix+"versions/"+name[:3]+"/"+name[3:], msg(1, data, 2, stamp(2020, n), 77, 5))
	}
}

func stamp(year, day int) []byte {
	return msg(1, int(time.Date(year, 1, day, 0, 0, 0, 0, time.UTC).Unix()), 2, 500)
}

func version(n int, fields []byte) []byte { return msg(2, msg(1, n, 2, fields)) }

// collect returns every secret of a store, as JSON by its whole path.
func collect(t *testing.T, s *vaultstore.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	mounts, err := s.Mounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		switch {
		case m.KV() > 0:
			err = s.Secrets(t.Context(), &m, func(secret *vaultstore.Secret, key string, err error) error {
				text, _ := json.Marshal(secret)
				out[m.Namespace+m.Path+secret.Path] = string(text)
				return err
			})
		case m.Type == "transit":
			err = s.TransitKeys(t.Context(), &m, func(k *vaultstore.TransitKey, at string, err error) error {
				text, _ := json.Marshal(k)
				out[m.Namespace+m.Path+k.Name] = string(text)
				return err
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func (b *bench) opened(keys vaultstore.Keys) *vaultstore.Store {
	b.Helper()
	s, err := vaultstore.Open(b.Context(), b.raw.files(b), keys)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// TestEveryKindOfContent: both versions of the engine, under all the names that
// they had, versions of every kind, an upgrade that did not come to its end,
// transit keys, policies of before, compressed and with fields that nobody knows.
func TestEveryKindOfContent(t *testing.T) {
	b := newBench(t, "shamir-5of3")
	b.mountsOf(
		entryOf("secret/", "kv", "u2", "2", ""), entryOf("old/", "generic", "u1", "", ""), entryOf("flat/", "kv", "u3", "1", ""),
		entryOf("plug/", "plugin", "u4", "2", `,"config":{"plugin_name":"kv"}`), entryOf("keys/", "transit", "u5", "", ""),
	)
	b.kv2("logical/u2/b-u2/", "a/b ü", slices.Concat(
		version(2, msg(1, stamp(2020, 2), 3, 1)), version(1, msg(1, stamp(2020, 1))), version(3, slices.Concat(msg(1, stamp(2020, 3), 2, stamp(2021, 1)), msg(50, "by"))),
		msg(3, 3, 4, 1, 5, stamp(2020, 1), 6, stamp(2020, 3), 7, 12, 8, 1, 9, msg(1, 3600)), msg(10, msg(1, "owner", 2, "team")), msg(10, msg(1, "empty")),
	), map[int]string{1: `{"n":12345678901234567890}`, 3: `{"html":"<&>"}`})
	b.seal(b.dek, b.term, "logical/u2/b-u2/config", msg(1, 20, 2, 1, 3, msg(1, 60)))
	b.put("logical/u2/left/over", `{"from":"version 1"}`)
	b.put("logical/u2/a/b ü", `{"from":"before"}`) // which was turned
	b.put("logical/u1/x/y", `{"k":"v","ttl":"1h"}`)
	b.put("logical/u3/z", `{"k":{"deep":[1,2]}}`)
	b.kv2("logical/u4/b-u4/", "p", version(1, msg(1, stamp(2020, 1))), map[int]string{1: `{}`})
	b.put("logical/u5/policy/card", `{"name":"card","keys":{"2":{"key":"AA=="}},"type":0}`)
	b.put("logical/u5/archive/card", `{"keys":[{},{"key":"AQ=="},{"key":"AA=="}]}`)
	b.put("logical/u5/policy/lone", `{"name":"lone"}`)
	var packed bytes.Buffer
	packed.WriteByte('G')
	z := gzip.NewWriter(&packed)
	z.Write([]byte(`{"Version":2,"Raw":"path \"packed\" {}"}`))
	z.Close()
	b.put("sys/policy/packed", packed.String())
	b.put("sys/policy/bare", `path "bare" {}`)
	s := b.opened(keysOf(t, "shamir-5of3"))
	want := map[string]string{
		"secret/a/b ü": `{"path":"a/b ü","engine":2,"created":"2020-01-01T00:00:00.0000005Z","updated":"2020-01-03T00:00:00.0000005Z","current_version":3,"oldest_version":1,"max_versions":12,"cas_required":true,"delete_version_after":3600000000000,"custom_metadata":{"empty":"","owner":"team"},` +
			`"versions":[{"version":1,"created":"2020-01-01T00:00:00.0000005Z","data":{"n":12345678901234567890}},{"version":2,"created":"2020-01-02T00:00:00.0000005Z","destroyed":true},{"version":3,"created":"2020-01-03T00:00:00.0000005Z","deleted":"2021-01-01T00:00:00.0000005Z","data":{"html":"\u003c\u0026\u003e"}}]}`,
		"secret/left/over": `{"path":"left/over","engine":1,"current_version":1,"versions":[{"version":1,"data":{"from":"version 1"}}]}`,
		"old/x/y":          `{"path":"x/y","engine":1,"current_version":1,"versions":[{"version":1,"data":{"k":"v","ttl":"1h"}}]}`,
		"flat/z":           `{"path":"z","engine":1,"current_version":1,"versions":[{"version":1,"data":{"k":{"deep":[1,2]}}}]}`,
		"plug/p":           `{"path":"p","engine":2,"versions":[{"version":1,"created":"2020-01-01T00:00:00.0000005Z","data":{}}]}`,
		"keys/card":        `{"name":"card","policy":{"name":"card","keys":{"2":{"key":"AA=="}},"type":0},"archive":{"keys":[{},{"key":"AQ=="},{"key":"AA=="}]}}`,
		"keys/lone":        `{"name":"lone","policy":{"name":"lone"}}`,
	}
	if diff := cmp.Diff(want, collect(t, s)); diff != "" {
		t.Error(diff)
	}
	policies := map[string]string{}
	err := s.Policies(t.Context(), func(p *vaultstore.Policy, key string, err error) error {
		policies[p.Name] = p.Text
		return err
	})
	if err != nil || policies["packed"] != `path "packed" {}` || policies["bare"] != `path "bare" {}` {
		t.Error(err, policies)
	}
	mounts, err := s.Mounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		if m.Path == "secret/" {
			c, err := s.KVConfig(&m)
			if err != nil || c.MaxVersions != 20 || !c.CASRequired || c.DeleteVersionAfter != time.Minute {
				t.Errorf("%+v, %v", c, err)
			}
			secret, err := s.Secret(t.Context(), &m, "a/b ü")
			if err != nil || len(secret.Versions) != 3 {
				t.Error(secret, err)
			}
			if _, err := s.Secret(t.Context(), &m, "gone"); !errors.Is(err, vaultstore.ErrNotFound) {
				t.Error(err)
			}
		}
	}
}

// TestNamespaces: OpenBao's, nested, with tables of one entry and of an entry for
// each mount; and Vault Enterprise's, that one table names by their ids.
func TestNamespaces(t *testing.T) {
	b := newBench(t, "shamir-5of3")
	delete(b.raw, "core/mounts")
	b.put("core/mounts/u2", entryOf("secret/", "kv", "u2", "1", ""))
	b.put("core/local-mounts/u9", entryOf("local/", "kv", "u9", "1", `,"local":true`))
	b.put("core/namespaces/n1", `{"id":"abc123","uuid":"n1","path":"team/","unlock_key":""}`)
	b.put("namespaces/n1/core/namespaces/n2", `{"id":"def456","uuid":"n2","path":"team/eu/"}`)
	b.put("namespaces/n1/core/mounts/m1", entryOf("secret/", "kv", "m1", "1", `,"namespace_id":"abc123"`))
	b.put("namespaces/n2/core/mounts", `{"type":"mounts","entries":[`+entryOf("kv/", "kv", "m2", "1", `,"namespace_id":"def456"`)+`]}`)
	b.put("logical/u2/a", `{"in":"root"}`)
	b.put("logical/u9/a", `{"in":"local"}`)
	b.put("namespaces/n1/logical/m1/a", `{"in":"team"}`)
	b.put("namespaces/n2/logical/m2/a", `{"in":"team/eu"}`)
	b.put("namespaces/n1/sys/policy/theirs", `{"Raw":"path \"x\" {}"}`)
	got := collect(t, b.opened(keysOf(t, "shamir-5of3")))
	if !slices.Equal(slices.Sorted(maps.Keys(got)), []string{"local/a", "secret/a", "team/eu/kv/a", "team/secret/a"}) || !strings.Contains(got["team/eu/kv/a"], `"in":"team/eu"`) {
		t.Error(got)
	}
	d := diagnose(t, b.raw.files(t), vaultstore.Options{Keys: keysOf(t, "shamir-5of3")})
	if !d.Healthy() {
		t.Error("it is healthy")
	}

	b = newBench(t, "vault-shamir-5of3")
	b.mountsOf(entryOf("secret/", "kv", "u1", "1", ""), entryOf("secret/", "kv", "u2", "1", `,"namespace_id":"Xy12z"`))
	b.put("logical/u1/a", `{}`)
	b.put("namespaces/Xy12z/logical/u2/b", `{}`)
	if got := slices.Sorted(maps.Keys(collect(t, b.opened(keysOf(t, "vault-shamir-5of3"))))); !slices.Equal(got, []string{"Xy12z/secret/b", "secret/a"}) {
		t.Error(got)
	}
}

// TestNamespaceWithASealOfItsOwn: its shares open it, and what is below it; until
// then it is counted, and the rest is read.
func TestNamespaceWithASealOfItsOwn(t *testing.T) {
	b := newBench(t, "shamir-5of3")
	b.put("core/namespaces/n1", `{"id":"abc123","uuid":"n1","path":"team/"}`)
	own := b.part()
	own.dek, own.term = bytes.Repeat([]byte{0x44}, 32), 1
	root, kek := bytes.Repeat([]byte{0x55}, 32), bytes.Repeat([]byte{0x66}, 32)
	own.seal(root, 1, "namespaces/n1/core/keyring", fmt.Appendf(nil, `{"MasterKey":%q,"Keys":[{"Term":1,"Version":1,"Value":%q}]}`, b64(root), b64(own.dek)))
	own.root = root
	sealed := aead(kek).Seal(nil, nil, own.storedKeys(), nil)
	own.raw["namespaces/n1/core/hsm/barrier-unseal-keys"] = msg(1, sealed, 5, "")
	config := []byte(`{"type":"shamir","secret_shares":3,"secret_threshold":2,"pgp_keys":null,"nonce":"","backup":false}`)
	own.seal(b.dek, b.term, "namespaces/n1/core/seal-config", config)
	own.put("namespaces/n1/core/mounts/m1", entryOf("secret/", "kv", "m1", "1", `,"namespace_id":"abc123"`))
	own.put("namespaces/n1/logical/m1/a", `{"in":"team"}`)
	own.put("namespaces/n1/core/namespaces/n2", `{"id":"def456","uuid":"n2","path":"team/eu/"}`)
	own.put("namespaces/n2/core/mounts/m2", entryOf("kv/", "kv", "m2", "1", `,"namespace_id":"def456"`))
	own.put("namespaces/n2/logical/m2/a", `{"in":"team/eu"}`)
	parts, err := shamir.Split(kek, 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	s := own.opened(keysOf(t, "shamir-5of3"))
	if got := collect(t, s); len(got) != 1 {
		t.Error(got)
	}
	if counts, err := s.Export(t.Context(), new(bytes.Buffer), vaultstore.ExportOptions{}); err != nil || counts.Sealed != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
	if err := s.OpenNamespace(t.Context(), "team/", keysOf(t, "shamir-5of3")); !errors.Is(err, vaultstore.ErrShares) {
		t.Error(err)
	}
	if err := s.OpenNamespace(t.Context(), "other", vaultstore.Keys{}); !errors.Is(err, vaultstore.ErrNotFound) {
		t.Error(err)
	}
	if err := s.OpenNamespace(t.Context(), "team", vaultstore.Keys{Shares: parts[1:]}); err != nil {
		t.Fatal(err)
	}
	got := collect(t, s)
	if !slices.Equal(slices.Sorted(maps.Keys(got)), []string{"secret/hello", "team/eu/kv/a", "team/secret/a"}) {
		t.Error(got)
	}
	d := diagnose(t, own.raw.files(t), vaultstore.Options{Keys: keysOf(t, "shamir-5of3")})
	if !d.Healthy() || !d.Has(vaultstore.NamespaceSealed) || d.Unreadable != 0 {
		t.Errorf("%+v", d)
	}
}
