package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// TestAttackPlantedToken: somebody who can write to the file takes the secrets
// and the root token out of it, and puts a token of their own there as if it had
// just been made; later they put the secrets back.
func TestAttackPlantedToken(t *testing.T) {
	dir := t.TempDir()
	p := run(t, dir, "")
	made := p.want(200, "PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1})
	share, token := made["keys"].([]any)[0], made["root_token"].(string)
	p.unseal(false, share)
	p.token = token
	p.want(200, "PUT", "secret/data/hello", object{"data": object{"greeting": "world"}})
	p.stop()
	const planted = "s.abcdefghijklmnopqrstuvwx"
	digest := sha256.Sum256([]byte(planted))
	kept := map[string][]byte{}
	edit := func(f func(*bbolt.Tx) error) {
		t.Helper()
		db, err := bbolt.Open(filepath.Join(dir, "sealwright.db"), 0o600, &bbolt.Options{Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Update(f); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range [][]byte{tokenKey, nextTokenKey} {
		edit(func(tx *bbolt.Tx) error {
			if b := tx.Bucket(secretsBucket); b != nil {
				b.ForEach(func(k, v []byte) error { kept[string(k)] = append([]byte(nil), v...); return nil })
				if err := tx.DeleteBucket(secretsBucket); err != nil {
					return err
				}
			}
			if err := tx.DeleteBucket(hostBucket); err != nil {
				return err
			}
			b, err := tx.CreateBucket(hostBucket)
			return errors.Join(err, b.Put(key, append([]byte("fresh:"), digest[:]...)))
		})
		p = run(t, dir, "")
		p.unseal(false, share)
		p.token = planted
		if code, out := p.do("GET", "sys/key-status", nil); code != 403 {
			t.Errorf("%s: the planted token is answered %d %v", key, code, out)
		}
		if code, out := p.do("GET", "secret/data/hello", nil); code < 400 {
			t.Errorf("%s: the planted token is answered %d %v", key, code, out)
		}
		p.stop()
	}
	if len(kept) == 0 {
		t.Error("there was no secret to put back")
	}
}

// TestLostToken: the answer with a new root token was lost. The old one is valid
// until the new one was used.
func TestLostToken(t *testing.T) {
	dir := t.TempDir()
	p := run(t, dir, "")
	made := p.want(200, "PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1})
	share := made["keys"].([]any)[0]
	p.unseal(false, share)
	old := made["root_token"].(string)
	p.token = old
	generate := func() string {
		t.Helper()
		begun := p.want(200, "PUT", "sys/generate-root/attempt", object{})
		out := p.want(200, "PUT", "sys/generate-root/update", object{"key": share, "nonce": begun["nonce"]})
		hidden, err := base64.RawStdEncoding.DecodeString(out["encoded_token"].(string))
		if err != nil {
			t.Fatal(err)
		}
		for i := range hidden {
			hidden[i] ^= begun["otp"].(string)[i]
		}
		return string(hidden)
	}
	lost := generate()
	p.want(200, "GET", "auth/token/lookup-self", nil) // with the old one
	p.stop()
	p = run(t, dir, "")
	p.unseal(false, share)
	p.token = old
	next := generate()
	p.want(200, "GET", "auth/token/lookup-self", nil)
	p.token = next
	p.want(200, "GET", "auth/token/lookup-self", nil)
	for _, token := range []string{old, lost} {
		p.token = token
		p.want(403, "GET", "auth/token/lookup-self", nil)
	}
}

// TestLostInitOfTheTools: the tools name no id for their init, so that its lost
// answer cannot be asked for again. Who starts the server gets a root token, and
// with that new recovery shares; no share that nobody has is asked for.
func TestLostInitOfTheTools(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("07", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	stanza := fmt.Sprintf("seal \"static\" {\n  current_key_id = \"2026\"\n  current_key = \"file://%s\"\n}\n", filepath.ToSlash(key))
	p := run(t, dir, stanza)
	p.want(200, "PUT", "sys/init", object{"recovery_shares": 3, "recovery_threshold": 2}) // and nobody reads it
	p.stop()

	file := filepath.Join(t.TempDir(), "token")
	p = run(t, dir, stanza, func(cfg *config) { cfg.tokenFile = file })
	p.untilUnsealed()
	for range 500 {
		b, _ := os.ReadFile(file)
		if p.token = strings.TrimSpace(string(b)); p.token != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.want(200, "GET", "auth/token/lookup-self", nil)
	out := p.want(200, "PUT", "sys/rotate/recovery/init", object{"secret_shares": 1, "secret_threshold": 1})["data"].(object)
	share := out["keys"].([]any)[0]
	p.want(200, "PUT", "sys/rotate/recovery/verify", object{"key": share, "nonce": out["verification_nonce"]})
	p.want(200, "PUT", "secret/data/hello", object{"data": object{"greeting": "world"}})
	p.stop()
	token := p.token
	p = run(t, dir, "") // the key is gone
	p.unseal(false, share)
	p.token = token
	p.reads("hello", "world")
}

// TestAttackLoopback: behind a proxy on this machine everybody connects from it,
// and is told no more than a stranger. Where the configuration says that there
// is none, whoever sits here is, and no page of a stranger in their browser.
func TestAttackLoopback(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		s := &server{db: &boltfile.File{Path: filepath.Join(t.TempDir(), "db")}}
		cfg, err := parseConfig([]byte("storage \"file\" { path = \"x\" }\nlistener \"tcp\" {\n tls_disable = true\n trust_loopback = "+map[bool]string{true: "true", false: "false"}[trusted]+"\n}"), "test.hcl", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.build(cfg, seal.Config{Store: boltfile.Record{File: s.db}}); err != nil {
			t.Fatal(err)
		}
		defer s.close()
		for address, local := range map[string]bool{"127.0.0.1:4711": true, "[::1]:4711": true, "10.0.0.7:4711": false, "@": false} {
			for _, header := range []string{"", "X-Forwarded-For", "Forwarded", "Via"} {
				r := httptest.NewRequest("GET", "/v1/sys/seal-status", nil)
				r.RemoteAddr, r.Host = address, "localhost:8200"
				if header != "" {
					r.Header.Set(header, "203.0.113.9")
				}
				for _, a := range []operator.Action{operator.Detail, operator.Seal, operator.Rekey, operator.Migrate} {
					want := trusted && local && header == "" && (a == operator.Detail || a == operator.Seal)
					if got := s.authorize(r, a) == nil; got != want {
						t.Errorf("trusted %v, from %s with %q: %s is %v", trusted, address, header, a, got)
					}
				}
			}
		}
		for host, own := range map[string]bool{"evil.example:8200": false, "localhost.evil.example": false, "": false, "127.0.0.1:8200": true, "[::1]:8200": true, "localhost": true} {
			r := httptest.NewRequest("GET", "/v1/sys/seal-status", nil)
			r.RemoteAddr, r.Host = "127.0.0.1:4711", host
			if got := s.authorize(r, operator.Detail) == nil; got != (trusted && own) {
				t.Errorf("trusted %v, for the name %q: %v", trusted, host, got)
			}
		}
	}
}

// TestRunBesideSaysWhyItEnds: what a seal stanza runs beside the requests, such
// as the renewal of a token, ends, and the log says so.
func TestRunBesideSaysWhyItEnds(t *testing.T) {
	p := run(t, t.TempDir(), "", func(cfg *config) {
		cfg.seals.Run = append(cfg.seals.Run, func(context.Context) error { return errors.New("the token is not renewed any more") })
	})
	for range 200 {
		if strings.Contains(p.log.String(), "not renewed any more") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the log is silent:\n%s", p.log)
}
