package vaultstore_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// seeds are the entries of the fixtures under a key.
func seeds(f *testing.F, key string) {
	for _, name := range stores {
		if value, ok := readRaw(f, fixture(name))[key]; ok {
			f.Add(value)
		}
	}
}

func FuzzBlobs(f *testing.F) {
	seeds(f, "core/hsm/barrier-unseal-keys")
	seeds(f, "core/recovery-key")
	f.Add([]byte("multiwrapvalue:1\x00\x00\x00\x07\x08\x02\x12\x03\x0a\x01x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		blobs, err := vaultstore.ParseBlobs(b)
		if err != nil {
			return
		}
		for _, blob := range blobs {
			again, err := vaultstore.ParseBlob(vaultstore.MarshalBlob(blob))
			if err != nil || again.KeyID != blob.KeyID || !bytes.Equal(again.Ciphertext, blob.Ciphertext) || !bytes.Equal(again.WrappedKey, blob.WrappedKey) {
				t.Fatalf("%+v becomes %+v, %v", blob, again, err)
			}
		}
	})
}

func FuzzSealConfig(f *testing.F) {
	seeds(f, "core/seal-config")
	seeds(f, "core/recovery-config")
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := vaultstore.ParseConfig(b)
		if err != nil {
			return
		}
		again, err := vaultstore.ParseConfig(vaultstore.EncodeConfig(c))
		if err != nil || again.Type != c.Type || again.Shares != c.Shares || again.Threshold != c.Threshold {
			t.Fatalf("%+v becomes %+v, %v", c, again, err)
		}
	})
}

func FuzzKeyring(f *testing.F) {
	f.Add([]byte(`{"MasterKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","Keys":[{"Term":1,"Version":1,"Value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","InstallTime":"2026-11-22T00:50:14.094828664Z","encryptions":12}],"RotationConfig":{"Disabled":false}}`))
	f.Add([]byte(`{"Keys":[{"Term":4294967295,"Value":"AAAAAAAAAAAAAAAAAAAAAA==","InstallTime":7}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		terms, err := vaultstore.ParseKeyring(b)
		if err == nil && len(terms) == 0 {
			t.Fatal("a keyring without a term")
		}
	})
}

func FuzzEntry(f *testing.F) {
	seeds(f, "core/keyring")
	seeds(f, "core/mounts")
	key := bytes.Repeat([]byte{7}, 32)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := vaultstore.OpenEntry(key, "core/mounts", b); err == nil {
			t.Fatal("an entry of nobody opens")
		}
		sealed, err := vaultstore.SealEntry(key, 7, "a", b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := vaultstore.OpenEntry(key, "a", sealed); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if _, err := vaultstore.OpenEntry(key, "b", sealed); err == nil {
			t.Fatal("an entry opens elsewhere")
		}
	})
}

func FuzzDecompress(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "compressed", "*"))
	if err != nil || len(names) == 0 {
		f.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("S\xff\x06\x00\x00sNaPpY\x00\x09\x00\x00\x00\x00\x00\x00\x05\x00\x61\x11\x01"))
	f.Add([]byte("4\x04\x22\x4d\x18\x60\x40\x82\x05\x00\x00\x00\x1f\x61\x01\x00\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 18
		if out, err := vaultstore.Decompress(b, limit); err == nil && len(out) > limit {
			t.Fatalf("%d bytes", len(out))
		}
	})
}

func FuzzFile(f *testing.F) {
	f.Add([]byte("{\"Value\":\"AAAA\"}\n"))
	f.Add([]byte(`{"Key":"a/b","Value":"AAAA"}{"Value":"BBBB"}`))
	f.Fuzz(func(t *testing.T, b []byte) { vaultstore.ParseFile(b) })
}

func FuzzMetadata(f *testing.F) {
	for _, name := range stores {
		s, err := vaultstore.Open(f.Context(), fixture(name), keysOf(f, name))
		if err != nil {
			f.Fatal(err)
		}
		defer s.Close()
		mounts, err := s.Mounts(f.Context())
		if err != nil {
			f.Fatal(err)
		}
		for _, m := range mounts {
			if m.KV() == 2 {
				s.Walk(f.Context(), m.Prefix, func(key string) error {
					text, err := s.Get(key)
					f.Add(text)
					return err
				})
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		vaultstore.ParseVersion(b)
		secret, err := vaultstore.ParseMetadata(b)
		if err != nil {
			return
		}
		if _, err := json.Marshal(secret); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzVaultDB(f *testing.F) {
	b, err := os.ReadFile(raw{"core/keyring": []byte("x"), "core/mounts": bytes.Repeat([]byte("y"), 9000), "z": nil}.raft(f, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { vaultstore.WalkBytes(b, false) })
}

func FuzzSnapshot(f *testing.F) {
	for _, state := range [][]byte{raw{"core/keyring": []byte("x"), "core/mounts": []byte("y")}.state(), nil, {0x80}, {3, 0x0a, 9, 'x'}} {
		b, err := os.ReadFile(snapshotOf(f, state, nil))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { vaultstore.WalkBytes(b, true) })
}

// FuzzState is a snapshot whose sums are right, whatever state.bin holds.
func FuzzState(f *testing.F) {
	f.Add(raw{"core/keyring": []byte("x"), "core/mounts": []byte("y")}.state())
	f.Add([]byte{3, 0x0a, 9, 'x'})
	f.Fuzz(func(t *testing.T, state []byte) {
		b, err := os.ReadFile(snapshotOf(t, state, nil))
		if err != nil {
			t.Fatal(err)
		}
		vaultstore.WalkBytes(b, true)
	})
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte("{\"kind\":\"mount\",\"mount\":\"secret/\"}\n{\"kind\":\"end\",\"counts\":{}}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var last *vaultstore.Record
		var failed error
		for r, err := range vaultstore.Records(bytes.NewReader(b)) {
			last, failed = r, err
		}
		if failed == nil && (last == nil || last.Kind != vaultstore.RecordEnd) {
			t.Fatal("an export without an end")
		}
	})
}

func FuzzShare(f *testing.F) {
	f.Add("58efee0184837ebaad070f7dce339f7987a070bb10813cf9be51251d09b247d67d")
	f.Add("WO/uAYSDfrqtBw99zjOfeYegcLsQgTz5vlElHQmyR9Z9")
	f.Fuzz(func(t *testing.T, text string) {
		if share, err := vaultstore.ParseShare(text); err == nil && (len(share) < 16 || len(share) > 33) {
			t.Fatalf("%d bytes", len(share))
		}
	})
}
