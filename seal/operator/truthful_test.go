package operator_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// A volume is what a store's name leads to: another one can be mounted there.
type volume struct{ seal.Store }

// A harm is something wrong with the store of a server that people unsealed
// once and that was sealed since, and what the API says of it.
type harm struct {
	do     func(s *server, v *volume)
	kind   string // why, for everybody
	detail string // and for operators
	unseal int    // the code of a share
	init   int    // the code of GET init
}

func (v *volume) rewrite(t testing.TB, change func(string) string) {
	t.Helper()
	rec, rev, err := v.Load(context.Background())
	if err == nil {
		_, err = v.Swap(context.Background(), []byte(change(string(rec))), rev)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func harms(t *testing.T) map[string]harm {
	stranger := newServer(t)
	stranger.init(object{"secret_shares": 3, "secret_threshold": 2})
	return map[string]harm{
		"cannot be reached": {func(s *server, v *volume) {
			f := &storetest.Faulty{Inner: v.Store}
			f.Outage(errors.New("dial 10.0.0.7: no route"))
			v.Store = f
		}, "the store cannot be reached", "10.0.0.7", 503, 503},
		"hangs": {func(s *server, v *volume) {
			v.Store = &storetest.Faulty{Inner: v.Store, Latency: time.Hour}
			s.patience = 20 * time.Millisecond
			s.restart()
		}, "the store cannot be reached", "deadline exceeded", 503, 503},
		"cut in the middle": {func(s *server, v *volume) {
			v.rewrite(t, func(rec string) string { return rec[:len(rec)/2] })
		}, "the record is damaged", "restore it from a backup", 500, 500},
		"a letter changed": {func(s *server, v *volume) {
			v.rewrite(t, func(rec string) string {
				other := "A" // a letter of base64 that is not the one there
				if rec[len(rec)-9] == 'A' {
					other = "B"
				}
				return rec[:len(rec)-9] + other + rec[len(rec)-8:]
			})
		}, "the record is a fork", "another record of generation", 500, 500},
		"of a newer release": {func(s *server, v *volume) {
			v.rewrite(t, func(rec string) string { return strings.Replace(rec, `"min_reader":1`, `"min_reader":9`, 1) })
		}, "the record needs a newer release", "9", 500, 500},
		"another store's": {func(s *server, v *volume) {
			v.Store = stranger.store
		}, "the record is another store's", "where", 500, 500},
		"gone": {func(s *server, v *volume) {
			v.Store = seal.NewMemStore()
		}, "the record is gone", "restore it", 500, 500},
		"rolled back": {func(s *server, v *volume) {
			old, _, err := v.Load(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.b.Unseal(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := s.b.Rotate(context.Background(), seal.By{}); err != nil {
				t.Fatal(err)
			}
			s.b.Seal(seal.By{})
			v.rewrite(t, func(string) string { return string(old) })
		}, "the record was rolled back", "generation", 500, 500},
		"closed": {func(s *server, v *volume) { s.b.Close() }, "shutting down", "closed", 503, 200},
	}
}

// TestTruthful is the table of what can be wrong with a store and with a KMS,
// and of what the API says of each: the code, the kind of reason for everybody,
// the details for operators alone, and never that the server is not initialized.
func TestTruthful(t *testing.T) {
	rows, wrong := 0, 0
	check := func(t *testing.T, ok bool, format string, args ...any) {
		t.Helper()
		rows++
		if !ok {
			wrong++
			t.Errorf(format, args...)
		}
	}
	all := harms(t)
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if testing.Short() && i%3 != 0 {
			continue
		}
		h := all[name]
		t.Run("store "+name, func(t *testing.T) {
			s, shares, token := withKMS(t)
			v := s.store.(*volume)
			s.b.Seal(seal.By{})
			h.do(s, v)
			code, out := s.do("PUT", "/v1/sys/unseal", "", object{"key": shares[0]})
			text := fmt.Sprint(out["errors"])
			check(t, code == h.unseal, "a share: %d %s", code, text)
			check(t, !strings.Contains(text, h.detail) || strings.Contains(h.kind, h.detail), "a share: everybody is told %q", text)
			if code == 503 || code == 500 {
				check(t, strings.Contains(text, h.kind), "a share: %s", text)
			}
			_, out = s.do("PUT", "/v1/sys/unseal", token, object{"key": shares[0]})
			check(t, strings.Contains(fmt.Sprint(out["errors"]), h.detail), "a share, with a token: %v", out)

			code, out = s.do("GET", "/v1/sys/seal-status", "", nil)
			check(t, code == 200 && out["sealed"] == true && out["initialized"] == true && out["reason"] == h.kind, "seal-status: %d %v", code, out)
			_, out = s.do("GET", "/v1/sys/seal-status", token, nil)
			check(t, strings.Contains(fmt.Sprint(out["reason"]), h.detail), "seal-status, with a token: %v", out["reason"])
			code, out = s.do("GET", "/v1/sys/health", "", nil)
			check(t, code == 503 && out["initialized"] == true, "health: %d %v", code, out)
			code, out = s.do("GET", "/v1/sys/init", "", nil)
			check(t, code == h.init && out["initialized"] != false, "init: %d %v", code, out)
			code, _ = s.do("PUT", "/v1/sys/init", "", object{"recovery_shares": 3, "recovery_threshold": 2})
			check(t, code >= 400, "it was initialized over what is there: %d", code)
		})
	}
	words := map[error]string{
		kms.ErrUnavailable: "the KMS cannot be reached", kms.ErrThrottled: "the KMS is throttled", kms.ErrDenied: "the KMS denies access",
		kms.ErrUnauthenticated: "the KMS does not know this server", kms.ErrClockSkew: "the clock is off", kms.ErrKeyDisabled: "the KMS key is disabled",
		kms.ErrKeyGone: "the KMS key is gone", kms.ErrWrongKey: "the KMS key is another one", kms.ErrCorrupt: "the KMS answered wrongly",
		nil: "the KMS answered wrongly", // of one that lies
	}
	for i, f := range kmstest.Failures() {
		if testing.Short() && i%3 != 0 {
			continue
		}
		t.Run("KMS "+string(f), func(t *testing.T) {
			s, shares, token := withKMS(t)
			if f == kmstest.Hang {
				s.retry.Timeout = 50 * time.Millisecond
			}
			s.restart()
			s.kms.Script(kmstest.Always(kmstest.Fault{Failure: f}))
			if err := s.b.Unseal(t.Context()); err == nil {
				t.Fatal("it unseals")
			}
			want := words[f.Kind()]
			_, out := s.do("GET", "/v1/sys/seal-status", "", nil)
			check(t, out["reason"] == want && out["initialized"] == true, "seal-status: %v, want %s", out["reason"], want)
			_, out = s.do("GET", "/v1/sys/seal-status", token, nil)
			check(t, strings.Contains(fmt.Sprint(out["reason"]), `KMS "cloud"`), "with a token: %v", out["reason"])
			code, _ := s.do("GET", "/v1/sys/health", "", nil)
			check(t, code == 503, "health: %d", code)

			// People open it, and then meet the KMS in a migration to another
			// key of it.
			expect(t, s.unseal(shares[:2]...), object{"sealed": false})
			s.toCloud("second")
			s.restart()
			s.unseal(shares[:2]...)
			s.migrate("", shares[0])
			status := 500
			if kms.Temporary(f.Kind()) {
				status = 503
			}
			code, out = s.do("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true})
			text := fmt.Sprint(out["errors"])
			if code == 200 { // it harms no wrap, or lies consistently
				return
			}
			check(t, code == status && !strings.Contains(text, "second"), "-migrate: %d %s, want %d", code, text, status)
			_, out = s.do("PUT", "/v1/sys/unseal", token, object{"key": shares[1], "migrate": true})
			check(t, strings.Contains(fmt.Sprint(out["errors"]), "the migration stands still"), "-migrate, with a token: %v", out)
		})
	}
	testlevel.Counted(t, "GUARANTEE 24 operator: rows=%d wrong=%d", rows, wrong)
}

// withKMS returns a server that a KMS and people open, and whose store is a
// volume.
func withKMS(t *testing.T) (s *server, shares []string, token string) {
	t.Helper()
	s = newServer(t)
	s.store = &volume{s.store}
	s.toCloud("cloud")
	s.restart()
	shares, token = s.init(object{"recovery_shares": 3, "recovery_threshold": 2})
	s.restart()
	s.unseal(shares[:2]...) // which proves them
	return s, shares, token
}
