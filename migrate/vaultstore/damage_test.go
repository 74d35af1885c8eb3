package vaultstore_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/migrate/vaultstore"
	"github.com/sealwright/sealwright/shamir"
)

func diagnose(t *testing.T, path string, o vaultstore.Options) *vaultstore.Diagnosis {
	t.Helper()
	d, err := vaultstore.Diagnose(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(d)
	return d
}

// found returns the finding of a state.
func found(t *testing.T, d *vaultstore.Diagnosis, state vaultstore.State) vaultstore.Finding {
	t.Helper()
	for _, f := range d.Findings {
		if f.State == state {
			return f
		}
	}
	t.Fatalf("no finding %s in %s", state, d)
	return vaultstore.Finding{}
}

// TestFilesThatAreMissingOrCut: of each entry that protects the others, its
// absence, its emptiness, and its first half; what a backup gives back; and
// what is in none.
func TestFilesThatAreMissingOrCut(t *testing.T) {
	trials := 0
	for _, name := range stores {
		whole := readRaw(t, fixture(name))
		backup := whole.snapshot(t)
		for _, key := range []string{"core/keyring", "core/hsm/barrier-unseal-keys", "core/seal-config", "core/recovery-config", "core/recovery-key", "core/root-key", "core/master", "core/shamir-kek", "core/mounts"} {
			if whole[key] == nil {
				continue
			}
			for _, how := range []string{"missing", "cut", "altered"} {
				if trials++; (trials-1)%step(4) != 0 {
					continue
				}
				value := map[string][]byte{"cut": whole[key][:len(whole[key])/2], "altered": flip(whole[key])}[how]
				t.Run(name+"/"+key+"/"+how, func(t *testing.T) {
					r := whole.clone()
					if r[key] = value; value == nil {
						delete(r, key)
					}
					kind := map[string]string{"missing": "file", "cut": "raft", "altered": "snapshot"}[how]
					if kind == "file" && !exhaustive() && key != "core/keyring" {
						kind = "raft" // one file costs less
					}
					source := kinds[kind](t, r)
					o := vaultstore.Options{Keys: with(shares(t, name), static(t)), Backup: backup}
					d := diagnose(t, source, vaultstore.Options{Keys: o.Keys})
					harmless := key == "core/shamir-kek" && how == "missing" || (key == "core/root-key" || key == "core/master") && how == "missing"
					if d.Healthy() != harmless {
						t.Errorf("healthy: %t", d.Healthy())
					}
					if key == "core/keyring" || key == "core/hsm/barrier-unseal-keys" {
						if d.Opens || d.Repairable() {
							t.Fatal("it opens without its keys")
						}
					}
					if d = diagnose(t, source, o); !d.Repairable() {
						if !harmless {
							t.Fatal("the backup does not help")
						}
						return
					}
					target := filepath.Join(t.TempDir(), "repaired")
					if _, err := vaultstore.Repair(t.Context(), source, target, o); err != nil {
						t.Fatal(err)
					}
					if d := diagnose(t, target, vaultstore.Options{Keys: o.Keys}); !d.Healthy() {
						t.Error("the copy is not healthy")
					}
				})
			}
		}
	}
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// TestFileThatIsCut: half a file of storage "file", and one that a crash left
// beside it with what it was to become.
func TestFileThatIsCut(t *testing.T) {
	const name = "shamir-5of3"
	r := readRaw(t, fixture(name))
	dir := r.files(t)
	keyring := filepath.Join(dir, "core", "_keyring")
	text, err := os.ReadFile(keyring)
	if err != nil {
		t.Fatal(err)
	}
	o := vaultstore.Options{Keys: keysOf(t, name)}
	write(t, keyring, text[:len(text)/2])
	f := found(t, diagnose(t, dir, o), vaultstore.EntryDamaged)
	if f.Key != "core/keyring" || f.Gravity != lost {
		t.Errorf("%+v", f)
	}
	if _, err := vaultstore.Open(t.Context(), dir, o.Keys); !errors.Is(err, vaultstore.ErrDamaged) || !strings.Contains(err.Error(), "core/keyring") {
		t.Error(err)
	}
	write(t, keyring+".temp", text) // the rename did not happen
	d := diagnose(t, dir, o)
	if !d.Repairable() || !d.Has(vaultstore.FileLeftover) {
		t.Fatal("what the crash left is not used")
	}
	write(t, filepath.Join(dir, "core", "_mounts.temp"), []byte(`{"Val`))
	write(t, filepath.Join(dir, "stranger"), []byte("not of the store"))
	target := filepath.Join(t.TempDir(), "repaired")
	others := filepath.Join(target+".incomplete", "of another repair") // which removed it
	write(t, others, nil)
	if _, err := vaultstore.Repair(t.Context(), dir, target, o); !errors.Is(err, vaultstore.ErrExists) {
		t.Error(err)
	}
	if err := errors.Join(os.Remove(others), os.Remove(filepath.Dir(others))); err != nil {
		t.Error(err)
	}
	if _, err := vaultstore.Repair(t.Context(), dir, target, o); err != nil {
		t.Fatal(err)
	}
	repaired(t, nil, target, stop{name: name, keys: o.Keys})
	want := r.clone()
	want["core/seal-config"] = nil
	if err := os.Remove(filepath.Join(target, "stranger")); err != nil {
		t.Error("what is no entry was not copied:", err)
	}
	got := readRaw(t, target)
	got["core/seal-config"] = nil // gets stored_shares
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestKeyNamedAsALeftover: a secret may have a name that ends like a file that a
// crash leaves.
func TestKeyNamedAsALeftover(t *testing.T) {
	b := newBench(t, "shamir-5of3")
	var mount string
	s, err := vaultstore.Open(t.Context(), fixture("shamir-5of3"), keysOf(t, "shamir-5of3"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mounts, err := s.Mounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		if m.Type == "cubbyhole" {
			mount = m.Prefix
		}
	}
	b.seal(b.dek, 1, mount+"notes", []byte(`{"a":1}`))
	b.seal(b.dek, 1, mount+"notes.temp", []byte(`{"b":1}`))
	d := diagnose(t, b.raw.files(t), vaultstore.Options{Keys: keysOf(t, "shamir-5of3")})
	if d.Has(vaultstore.FileLeftover) || !d.Healthy() || d.Entries != 28 {
		t.Error("a secret is taken for a leftover")
	}
}

// TestOldKeyring: the keyring of before a rotation, from a backup of one file, with
// and without the upgrade that was on its way to other servers.
func TestOldKeyring(t *testing.T) {
	for _, upgrade := range []bool{false, true} {
		b := newBench(t, "shamir-5of3")
		old := b.dek
		b.dek, b.term = bytes.Repeat([]byte{0x77}, 32), 2
		b.seal(b.dek, 2, "core/after", []byte(`{}`))
		b.seal(b.dek, 2, "core/after-too", []byte(`{}`))
		if upgrade {
			b.seal(old, 1, "core/upgrade/1", b.must(json.Marshal(map[string]any{"Term": 2, "Version": 1, "Value": b.dek, "InstallTime": "2026-11-22T00:50:14.094828664Z"})))
		}
		source := b.raw.raft(t, nil)
		o := vaultstore.Options{Keys: keysOf(t, "shamir-5of3")}
		d := diagnose(t, source, o)
		f := found(t, d, vaultstore.KeyringOld)
		if f.Repairs != upgrade || d.Unreadable != map[bool]int{false: 2, true: 0}[upgrade] || (f.Gravity == lost) == upgrade {
			t.Errorf("%+v, %d unreadable", f, d.Unreadable)
		}
		if !upgrade {
			continue
		}
		target := filepath.Join(t.TempDir(), "repaired")
		if _, err := vaultstore.Repair(t.Context(), source, target, o); err != nil {
			t.Fatal(err)
		}
		if d := diagnose(t, target, o); !d.Healthy() || !slices.Equal(d.Terms, []uint32{1, 2}) {
			t.Error("the copy is not healthy")
		}
	}
}

// TestDamagedEntries: they are named, the others are exported, and a repair of
// something else leaves them as they are.
func TestDamagedEntries(t *testing.T) {
	states := toAuto(t, "vault-shamir-5of3", another(), "static")
	b := states[4]
	var version string
	for _, key := range b.raw.keys() {
		if strings.Contains(key, "/versions/") {
			version = key
		}
	}
	b.raw[version] = flip(b.raw[version])
	b.raw["sys/policy/default"] = b.raw["sys/policy/default"][:7]
	b.raw["core/audit"] = b.raw["core/auth"] // of another place
	o := vaultstore.Options{Keys: with(shares(t, "vault-shamir-5of3"), another())}
	source := b.raw.files(t)
	d := diagnose(t, source, o)
	if f := found(t, d, vaultstore.EntriesDamaged); f.Repairs || d.Unreadable != 3 || !strings.Contains(f.Says, "sys/policy/default") {
		t.Errorf("%d unreadable, %s", d.Unreadable, f.Says)
	}
	target := filepath.Join(t.TempDir(), "repaired")
	if _, err := vaultstore.Repair(t.Context(), source, target, o); err != nil {
		t.Fatal(err)
	}
	got := readRaw(t, target)
	for _, key := range []string{version, "sys/policy/default", "core/audit"} {
		if !bytes.Equal(got[key], b.raw[key]) {
			t.Errorf("%s is another in the copy", key)
		}
	}
	delete(b.raw, "core/audit")
	s, err := vaultstore.Open(t.Context(), b.raw.files(t), o.Keys)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out bytes.Buffer
	counts, err := s.Export(t.Context(), &out, vaultstore.ExportOptions{})
	if err != nil || counts.Unreadable != 2 || counts.Secrets != 1 || counts.Versions != 0 || counts.Policies != 2 {
		t.Errorf("%+v, %v", counts, err)
	}
	if !strings.Contains(out.String(), `"lost":true`) {
		t.Error("the version that is lost is not said to be")
	}
}

// TestInitThatStopped: the KMS was away at the stored keys, and one call later.
func TestInitThatStopped(t *testing.T) {
	whole := readRaw(t, fixture("static"))
	first := raw{}
	for _, key := range []string{"core/keyring", "core/root-key", "core/seal-config"} {
		first[key] = whole[key]
	}
	d := diagnose(t, first.files(t), vaultstore.Options{Keys: seals(static(t))})
	found(t, d, vaultstore.InitStopped)
	if d.Opens {
		t.Error("it opens")
	}
	second := whole.clone()
	delete(second, "core/recovery-key")
	if d := diagnose(t, second.files(t), vaultstore.Options{Keys: seals(static(t))}); found(t, d, vaultstore.NoRecoveryKey).Gravity != broken || !d.Opens {
		t.Error("it is healthy without a recovery key")
	}
	empty := t.TempDir()
	write(t, filepath.Join(empty, "core", "_migration"), []byte(`{"Value":""}`))
	found(t, diagnose(t, empty, vaultstore.Options{}), vaultstore.NotInitialized)
}

// TestRecoveryRekeyThatStopped: the recovery key is new, and its numbers are old.
func TestRecoveryRekeyThatStopped(t *testing.T) {
	b := newBench(t, "static")
	kek := bytes.Repeat([]byte{0x19}, 32)
	parts, err := shamir.Split(kek, 7, 5)
	if err != nil {
		t.Fatal(err)
	}
	b.raw["core/recovery-key"] = blobBy(static(t), kek)
	source := b.raw.files(t)
	o := vaultstore.Options{Keys: with(parts, static(t))}
	if f := found(t, diagnose(t, source, o), vaultstore.RecoveryRekey1); !f.Repairs {
		t.Errorf("%+v", f)
	}
	target := filepath.Join(t.TempDir(), "repaired")
	if _, err := vaultstore.Repair(t.Context(), source, target, o); err != nil {
		t.Fatal(err)
	}
	repaired(t, nil, target, stop{name: "static", keys: o.Keys})
	old := diagnose(t, source, vaultstore.Options{Keys: with(shares(t, "static"), static(t))})
	found(t, old, vaultstore.SharesWrong)
}

// TestLeavingTheAutoSeal: with the seal and the recovery shares the copy is one of
// shares, which no KMS is needed for.
func TestLeavingTheAutoSeal(t *testing.T) {
	people := shares(t, "static")
	o := vaultstore.Options{Keys: with(people, static(t)), ToShamir: true}
	target := filepath.Join(t.TempDir(), "shares")
	if _, err := vaultstore.Repair(t.Context(), fixture("static"), target, o); err != nil {
		t.Fatal(err)
	}
	repaired(t, nil, target, stop{name: "static", keys: vaultstore.Keys{Shares: people[2:]}})
	o.Keys.Seals = nil
	if _, err := vaultstore.Repair(t.Context(), fixture("static"), target+"2", o); !errors.Is(err, vaultstore.ErrNoRepair) {
		t.Error(err)
	}
}

// TestBackupOfAnotherStore: its keyring opens nothing here, and is not taken.
func TestBackupOfAnotherStore(t *testing.T) {
	r := readRaw(t, fixture("shamir-5of3"))
	delete(r, "core/keyring")
	o := vaultstore.Options{Keys: with(append(shares(t, "shamir-5of3")[:3:3], shares(t, "vault-shamir-5of3")[:3]...), static(t)),
		Backup: readRaw(t, fixture("vault-shamir-5of3")).raft(t, nil)}
	if d := diagnose(t, r.files(t), o); d.Opens || d.Repairable() {
		t.Error("the keyring of another store is taken")
	}
}

// TestNoSecretIsSaid: no share, key or secret stands in an error or a finding, in
// hex, base64 or as it is; and the types print none.
func TestNoSecretIsSaid(t *testing.T) {
	var said strings.Builder
	var secrets [][]byte
	store := kinds["file"]
	if !exhaustive() {
		store = kinds["raft"] // one file costs less
	}
	for _, s := range someStops(t) {
		o := vaultstore.Options{Keys: s.keys}
		if s.backup != nil {
			o.Backup = store(t, s.backup)
		}
		dir := store(t, s.raw)
		d, err := vaultstore.Diagnose(t.Context(), dir, o)
		text, _ := json.Marshal(d)
		fmt.Fprintln(&said, d, err, string(text), s.keys)
		fmt.Fprintf(&said, "%+v %#v %s %x\n", s.keys, s.keys, o.Keys, o.Keys)
		if store, err := vaultstore.Open(t.Context(), dir, s.keys); err != nil {
			fmt.Fprintln(&said, err)
		} else {
			fmt.Fprintf(&said, "%+v", store.Info())
			store.Close()
		}
		secrets = append(secrets, s.keys.Shares...)
	}
	fmt.Fprintf(&said, "%v %+v %#v %s %x %q", static(t), static(t), static(t), static(t), static(t), static(t))
	secrets = append(secrets, static(t).Key, another().Key)
	for _, name := range stores {
		b := newBench(t, name)
		secrets = append(secrets, b.root, b.dek)
	}
	text := said.String()
	for _, secret := range secrets {
		if strings.Contains(text, string(secret)) || strings.Contains(text, hex.EncodeToString(secret[:16])) || strings.Contains(text, string(b64(secret[:15]))) || strings.Contains(text, fmt.Sprint(secret)[1:30]) {
			t.Fatal("a secret was said")
		}
	}
	if len(text) < 10_000 {
		t.Error("hardly anything was said")
	}
}

func b64(b []byte) []byte {
	text, _ := json.Marshal(b)
	return text[1 : len(text)-1]
}

// TestCancelled: whoever stops waiting gets the context's error, and no target.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := vaultstore.Options{Keys: keysOf(t, "shamir-5of3")}
	if _, err := vaultstore.Diagnose(ctx, fixture("shamir-5of3"), o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := vaultstore.Open(ctx, fixture("shamir-5of3"), o.Keys); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	target := filepath.Join(t.TempDir(), "x")
	if _, err := vaultstore.Repair(ctx, fixture("shamir-5of3"), target, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
