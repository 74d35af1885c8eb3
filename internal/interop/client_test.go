package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// must returns the answer of a call that has to succeed.
func must[T any](out T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused expects the client to understand a refusal.
func refused(t *testing.T, err error, code int, words string) {
	t.Helper()
	var answer *api.ResponseError
	if !errors.As(err, &answer) || answer.StatusCode != code || !strings.Contains(strings.Join(answer.Errors, "; "), words) {
		t.Fatalf("%v, want %d with %q", err, code, words)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// TestVaultClient is the life of a server as HashiCorp's own client sees it:
// package api, which vault, Terraform, the Kubernetes operators and most Go
// programs speak with.
func TestVaultClient(t *testing.T) {
	s := newServer(t)
	s.start("")

	// Nothing is there, and the server says so.
	status := must(s.Sys().SealStatus())(t)
	equal(t, "status", []any{status.Initialized, status.Sealed, status.Type, status.N}, []any{false, true, "shamir", 0})
	equal(t, "initialized", must(s.Sys().InitStatus())(t), false)
	health := must(s.Sys().Health())(t)
	equal(t, "health", []any{health.Initialized, health.Sealed}, []any{false, true})
	_, err := s.Sys().KeyStatus()
	refused(t, err, http.StatusServiceUnavailable, "Vault is sealed")

	// Init, and unseal.
	_, err = s.Sys().Init(&api.InitRequest{SecretShares: 5, SecretThreshold: 6})
	refused(t, err, http.StatusBadRequest, "threshold cannot be larger than shares")
	made := must(s.Sys().Init(&api.InitRequest{SecretShares: 5, SecretThreshold: 3}))(t)
	equal(t, "shares", []int{len(made.Keys), len(made.KeysB64), len(made.RecoveryKeys)}, []int{5, 5, 0})
	_, err = s.Sys().Init(&api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	refused(t, err, http.StatusBadRequest, "Vault is already initialized")
	s.SetToken(made.RootToken)
	for i, share := range made.KeysB64[:3] {
		if i == 2 {
			_, err := s.Sys().Unseal("not a share")
			refused(t, err, http.StatusBadRequest, "malformed share")
			status = must(s.Sys().ResetUnsealProcess())(t)
			equal(t, "progress after a reset", status.Progress, 2)
		}
		status = must(s.Sys().Unseal(share))(t)
	}
	equal(t, "status", []any{status.Sealed, status.T, status.N, status.Initialized}, []any{false, 3, 5, true})
	health = must(s.Sys().Health())(t)
	equal(t, "health", []any{health.Initialized, health.Sealed, health.Standby}, []any{true, false, false})
	leader := must(s.Sys().Leader())(t)
	equal(t, "HA", leader.HAEnabled, false)

	login(t, s)
	secrets(t, s)
	versions(t, s)
	asAnswers(t, s)
	rotations(t, s)
	shares := rekey(t, s, made.KeysB64)
	generateRoot(t, s, shares)

	done(t, s.Sys().Seal())
	equal(t, "sealed", must(s.Sys().SealStatus())(t).Sealed, true)
	_, err = s.KVv2("secret").Get(t.Context(), "hello")
	refused(t, err, http.StatusServiceUnavailable, "Vault is sealed")
	for _, share := range shares {
		status = must(s.Sys().Unseal(share))(t)
	}
	equal(t, "sealed", status.Sealed, false)

	migrations(t, s, shares)
}

// login is what vault login and vault token lookup do.
func login(t *testing.T, s *server) {
	t.Helper()
	self := must(s.Auth().Token().LookupSelf())(t)
	id, err := self.TokenID()
	policies, err2 := self.TokenPolicies()
	ttl, err3 := self.TokenTTL()
	if err := errors.Join(err, err2, err3); err != nil || id != s.Token() || !reflect.DeepEqual(policies, []string{"root"}) || ttl != 0 {
		t.Fatalf("lookup-self: %v %v %v, %v", id == s.Token(), policies, ttl, err)
	}
	must(s.Auth().Token().Lookup(s.Token()))(t)
	_, err = s.Auth().Token().Lookup("s.another")
	refused(t, err, http.StatusForbidden, "bad token")
}

// versions is the rest of version 2 of the key-value engine.
func versions(t *testing.T, s *server) {
	t.Helper()
	ctx, kv := t.Context(), s.KVv2("secret")
	big := json.Number("9007199254740993")
	for _, n := range []any{1, big} {
		must(kv.Put(ctx, "versions", map[string]any{"n": n, "kept": "as it is"}))(t)
	}
	equal(t, "a large number", must(kv.Get(ctx, "versions"))(t).Data["n"], any(big))
	done(t, kv.Delete(ctx, "versions"))
	done(t, kv.Undelete(ctx, "versions", []int{2}))
	equal(t, "undeleted", must(kv.Get(ctx, "versions"))(t).Data["n"], any(big))
	must(kv.Patch(ctx, "versions", map[string]any{"more": "new"}))(t)
	patched := must(kv.Get(ctx, "versions"))(t)
	equal(t, "patched", []any{patched.Data["n"], patched.Data["kept"], patched.Data["more"], patched.VersionMetadata.Version}, []any{big, "as it is", "new", 3})
	must(kv.Rollback(ctx, "versions", 1))(t)
	equal(t, "rolled back", must(kv.Get(ctx, "versions"))(t).Data["n"], any(json.Number("1")))
	done(t, kv.DeleteVersions(ctx, "versions", []int{4}))
	done(t, kv.Destroy(ctx, "versions", []int{2}))
	list := must(kv.GetVersionsAsList(ctx, "versions"))(t)
	equal(t, "versions", []any{len(list), list[1].Destroyed, list[3].DeletionTime.IsZero(), list[2].Destroyed}, []any{4, true, false, false})
	done(t, kv.PutMetadata(ctx, "versions", api.KVMetadataPutInput{
		CASRequired: true, MaxVersions: 7, DeleteVersionAfter: time.Hour, CustomMetadata: map[string]any{"owner": "ops"},
	}))
	done(t, kv.PatchMetadata(ctx, "versions", api.KVMetadataPatchInput{CustomMetadata: map[string]any{"team": "x"}}))
	meta := must(kv.GetMetadata(ctx, "versions"))(t)
	equal(t, "metadata", []any{meta.CASRequired, meta.MaxVersions, meta.DeleteVersionAfter, meta.CustomMetadata, meta.CurrentVersion},
		[]any{true, 7, time.Hour, map[string]any{"owner": "ops", "team": "x"}, 4})
	_, err := kv.Put(ctx, "versions", map[string]any{})
	refused(t, err, http.StatusBadRequest, "check-and-set parameter required")
	made := must(kv.Put(ctx, "versions", map[string]any{"n": 5}, api.WithCheckAndSet(4)))(t)
	equal(t, "ends", made.VersionMetadata.DeletionTime.IsZero(), false)
	done(t, kv.DeleteMetadata(ctx, "versions"))
	if _, err := kv.GetMetadata(ctx, "versions"); !errors.Is(err, api.ErrSecretNotFound) {
		t.Fatalf("deleted for good: %v", err)
	}
}

// asAnswers is what the client makes of answers that are none of a plugin, as
// bao read and bao write do, and of paths that are not served.
func asAnswers(t *testing.T, s *server) {
	t.Helper()
	status := must(s.Logical().Read("sys/seal-status"))(t)
	if status == nil || status.Data["sealed"] != false || status.Data["n"] != json.Number("5") {
		t.Fatalf("bao read sys/seal-status shows %+v", status)
	}
	_, err := s.Logical().Write("totp/code/hello", map[string]any{"code": "000000"})
	refused(t, err, http.StatusNotFound, "no handler for route")
	_, err = s.Logical().Write("sys/unseal/check", map[string]any{"key": "sw1"})
	refused(t, err, http.StatusBadRequest, "share")
	large := strings.Repeat("A", 2<<20)
	_, err = s.KVv2("secret").Put(t.Context(), "large", map[string]any{"x": large})
	refused(t, err, http.StatusRequestEntityTooLarge, "too large")
	team := must(s.Clone())(t)
	team.SetToken(s.Token())
	team.SetNamespace("team")
	refused(t, team.Sys().Seal(), http.StatusBadRequest, "namespaces are not supported")
	_, err = team.KVv2("secret").Get(t.Context(), "hello")
	refused(t, err, http.StatusBadRequest, "namespaces are not supported")
	equal(t, "sealed", must(s.Sys().SealStatus())(t).Sealed, false)
}

func secrets(t *testing.T, s *server) {
	t.Helper()
	ctx, kv := t.Context(), s.KVv2("secret")
	equal(t, "version", must(kv.Put(ctx, "hello", map[string]any{"greeting": "world"}))(t).VersionMetadata.Version, 1)
	equal(t, "version", must(kv.Put(ctx, "hello", map[string]any{"greeting": "there"}))(t).VersionMetadata.Version, 2)
	equal(t, "hello", must(kv.Get(ctx, "hello"))(t).Data["greeting"], any("there"))
	equal(t, "hello, version 1", must(kv.GetVersion(ctx, "hello", 1))(t).Data["greeting"], any("world"))
	must(kv.Put(ctx, "team/door", map[string]any{"code": "4711"}))(t)
	list := must(s.Logical().List("secret/metadata/"))(t)
	equal(t, "list", list.Data["keys"], any([]any{"hello", "team/"}))
	done(t, kv.Delete(ctx, "team/door"))
	door, err := kv.Get(ctx, "team/door")
	if err == nil && door.Data != nil || err != nil && !errors.Is(err, api.ErrSecretNotFound) {
		t.Fatalf("deleted: %v, %v", door, err)
	}
	if _, err := kv.Get(ctx, "nothing"); !errors.Is(err, api.ErrSecretNotFound) {
		t.Fatalf("nothing there: %v", err)
	}
	token := s.Token()
	s.SetToken("s.wrong")
	_, err = kv.Get(ctx, "hello")
	refused(t, err, http.StatusForbidden, "permission denied")
	refused(t, s.Sys().Seal(), http.StatusForbidden, "permission denied")
	s.SetToken(token)
}

// reads checks that what was written first is there.
func reads(t *testing.T, s *server) {
	t.Helper()
	equal(t, "hello, version 1", must(s.KVv2("secret").GetVersion(t.Context(), "hello", 1))(t).Data["greeting"], any("world"))
}

func rotations(t *testing.T, s *server) {
	t.Helper()
	before := must(s.Sys().KeyStatus())(t)
	done(t, s.Sys().Rotate())
	after := must(s.Sys().KeyStatus())(t)
	if after.Term != before.Term+1 || after.InstallTime.Before(before.InstallTime) {
		t.Fatalf("rotated from %v to %v", before, after)
	}
	must(s.Logical().Write("sys/rotate/root", nil))(t) // OpenBao's
	reads(t, s)
}

// rekey replaces the shares, with everything that can happen to it, and
// returns the new ones.
func rekey(t *testing.T, s *server, old []string) []string {
	t.Helper()
	sys := s.Sys()
	equal(t, "started", must(sys.RekeyStatus())(t).Started, false)
	begin := &api.RekeyInitRequest{SecretShares: 3, SecretThreshold: 2, RequireVerification: true}
	begun := must(sys.RekeyInit(begin))(t)
	equal(t, "begun", []any{begun.Started, begun.T, begun.N, begun.Required, begun.VerificationRequired}, []any{true, 2, 3, 3, true})
	_, err := sys.RekeyInit(begin)
	refused(t, err, http.StatusBadRequest, "rekey already in progress")
	_, err = sys.RekeyUpdate(old[0], "another")
	refused(t, err, http.StatusBadRequest, "incorrect nonce supplied")
	done(t, sys.RekeyCancel())
	equal(t, "started", must(sys.RekeyStatus())(t).Started, false)

	begun = must(sys.RekeyInit(begin))(t)
	var made *api.RekeyUpdateResponse
	for i, share := range old[2:] {
		made = must(sys.RekeyUpdate(share, begun.Nonce))(t)
		if i < 2 {
			equal(t, "progress", must(sys.RekeyStatus())(t).Progress, i+1)
		}
	}
	equal(t, "made", []any{made.Complete, len(made.Keys), len(made.KeysB64), made.VerificationRequired}, []any{true, 3, 3, true})
	verifying := must(sys.RekeyVerificationStatus())(t)
	equal(t, "verification", []any{verifying.Started, verifying.Nonce, verifying.T, verifying.N}, []any{true, made.VerificationNonce, 2, 3})
	_, err = sys.RekeyVerificationUpdate(old[0], made.VerificationNonce)
	refused(t, err, http.StatusBadRequest, "not of the new set")
	must(sys.RekeyVerificationUpdate(made.KeysB64[2], made.VerificationNonce))(t)
	// Begun anew: the shares stay as they are.
	done(t, sys.RekeyVerificationCancel())
	verifying = must(sys.RekeyVerificationStatus())(t)
	equal(t, "progress", verifying.Progress, 0)
	must(sys.RekeyVerificationUpdate(made.KeysB64[0], verifying.Nonce))(t)
	equal(t, "verified", must(sys.RekeyVerificationUpdate(made.KeysB64[1], verifying.Nonce))(t).Complete, true)
	equal(t, "n", must(sys.SealStatus())(t).N, 3)
	reads(t, s)
	return made.KeysB64[1:]
}

func generateRoot(t *testing.T, s *server, shares []string) {
	t.Helper()
	sys := s.Sys()
	begun := must(sys.GenerateRootInit("", ""))(t)
	equal(t, "begun", []any{begun.Started, len(begun.OTP), begun.OTPLength}, []any{true, 26, 26})
	done(t, sys.GenerateRootCancel())
	equal(t, "started", must(sys.GenerateRootStatus())(t).Started, false)
	begun = must(sys.GenerateRootInit("", ""))(t)
	must(sys.GenerateRootUpdate(shares[0], begun.Nonce))(t)
	made := must(sys.GenerateRootUpdate(shares[1], begun.Nonce))(t)
	equal(t, "complete", made.Complete, true)
	token, err := base64.RawStdEncoding.DecodeString(made.EncodedToken)
	if err != nil || len(token) != len(begun.OTP) {
		t.Fatalf("token of %d bytes, %v", len(token), err)
	}
	for i := range token {
		token[i] ^= begun.OTP[i]
	}
	s.SetToken(string(token))
	reads(t, s)
}

// migrations moves the store from people to a key and back, with unseal
// -migrate.
func migrations(t *testing.T, s *server, shares []string) {
	t.Helper()
	migrate := func(wantType string) {
		t.Helper()
		var status *api.SealStatusResponse
		for _, share := range shares {
			status = must(s.Sys().UnsealWithOptions(&api.UnsealOpts{Key: share, Migrate: true}))(t)
		}
		equal(t, "migrated", []any{status.Sealed, status.Migration, status.Type}, []any{false, false, wantType})
		reads(t, s)
	}
	stanza := strings.ReplaceAll(s.stanza, "%s", "")
	s.start(stanza)
	status := must(s.Sys().SealStatus())(t)
	equal(t, "a migration waits", []any{status.Sealed, status.Migration}, []any{true, true})
	migrate("static")

	s.start(stanza)
	comesUp(t, s)
	reads(t, s)
	equal(t, "recovery", must(s.Sys().SealStatus())(t).RecoverySeal, true)

	s.start("") // the key is gone: the shares open it
	for _, share := range shares {
		status = must(s.Sys().Unseal(share))(t)
	}
	equal(t, "sealed", status.Sealed, false)
	reads(t, s)

	s.start(strings.ReplaceAll(s.stanza, "%s", `disabled = "true"`))
	comesUp(t, s)
	migrate("shamir")
	s.start("")
	equal(t, "sealed", must(s.Sys().SealStatus())(t).Sealed, true)
	for _, share := range shares {
		status = must(s.Sys().Unseal(share))(t)
	}
	equal(t, "status", []any{status.Sealed, status.Type, status.RecoverySeal}, []any{false, "shamir", false})
	reads(t, s)
}

// comesUp waits until the server has unsealed by itself.
func comesUp(t *testing.T, s *server) {
	t.Helper()
	for range 600 {
		if !must(s.Sys().SealStatus())(t).Sealed {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("it does not unseal by itself:\n%s", s.log())
}
