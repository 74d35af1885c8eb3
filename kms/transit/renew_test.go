package transit_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/kms/transit/transittest"
)

// run runs w for a time and returns how it ended.
func run(t *testing.T, w *transit.Wrapper, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return w.Run(ctx)
}

// counting counts the requests of a configuration by their path.
func counting(cfg *transit.Config) map[string]int {
	requests := make(map[string]int)
	inner := cfg.HTTPClient.Transport
	cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
		requests[strings.TrimPrefix(r.URL.Path, "/v1/")]++
		return inner.RoundTrip(r)
	})
	return requests
}

func TestRunRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var vault transittest.Server
		cfg := vault.Config("prod")
		cfg.Token = vault.IssueToken(time.Hour, 1000*time.Hour, true)
		requests := counting(&cfg)
		w := open(t, cfg)
		if err := run(t, w, 48*time.Hour); err != context.DeadlineExceeded {
			t.Errorf("Run: %v", err)
		}
		if _, err := w.Probe(t.Context()); err != nil {
			t.Errorf("after two days: %v", err)
		}
		// Every 20 to 40 minutes.
		if n := requests["auth/token/renew-self"]; n < 48*60/40 || n > 48*60/20+1 {
			t.Errorf("%d renewals in 48 hours", n)
		}
	})
}

// TestRunSurvives an outage that is shorter than the token's life.
func TestRunSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var vault transittest.Server
		cfg := vault.Config("prod")
		cfg.Token = vault.IssueToken(12*time.Hour, 1000*time.Hour, true)
		time.AfterFunc(3*time.Hour, vault.Seal)
		time.AfterFunc(6*time.Hour, vault.Unseal)
		w := open(t, cfg)
		if err := run(t, w, 48*time.Hour); err != context.DeadlineExceeded {
			t.Errorf("Run: %v", err)
		}
		if _, err := w.Probe(t.Context()); err != nil {
			t.Errorf("after the outage: %v", err)
		}
	})
}

func TestRunEnds(t *testing.T) {
	for name, test := range map[string]struct {
		token func(vault *transittest.Server) string
		after time.Duration
		kind  error
		words string
	}{
		"not renewable": {
			func(v *transittest.Server) string { return v.IssueToken(time.Hour, time.Hour, false) }, 0,
			kms.ErrMisconfigured, "kms: renew transit key \"transit/prod\": misconfigured: change the configuration: the token ends in 1h0m0s and is not renewable: use a periodic token, or a TokenFile that an agent keeps",
		},
		"at its maximum": {
			func(v *transittest.Server) string { return v.IssueToken(time.Hour, 5*time.Hour, true) }, 5 * time.Hour,
			kms.ErrUnauthenticated, "renew the credentials",
		},
		"unknown": {
			func(*transittest.Server) string { return "hvs.unknown" }, 0,
			kms.ErrUnauthenticated, "invalid token",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var vault transittest.Server
				cfg := vault.Config("prod")
				cfg.Token = test.token(&vault)
				start := time.Now()
				fails(t, run(t, open(t, cfg), 1000*time.Hour), test.kind, test.words)
				if d := time.Since(start); d < test.after-time.Minute || d > test.after+time.Minute {
					t.Errorf("Run ended after %v, want %v", d, test.after)
				}
			})
		})
	}
}

func TestRunMayNotRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for path, words := range map[string]string{"lookup-self": "permission denied", "renew-self": "permission denied"} {
			var vault transittest.Server
			cfg := vault.Config("prod")
			cfg.Token = vault.IssueToken(time.Hour, time.Hour, true)
			cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, path) {
					return answer(403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`), nil
				}
				return vault.RoundTrip(r)
			})
			fails(t, run(t, open(t, cfg), time.Hour), kms.ErrDenied, words)
		}
		var vault transittest.Server
		cfg := vault.Config("prod")
		cfg.Token = vault.IssueToken(time.Hour, time.Hour, true)
		cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "renew-self") {
				return answer(200, `{"auth":{"lease_duration":0}}`), nil
			}
			return vault.RoundTrip(r)
		})
		fails(t, run(t, open(t, cfg), time.Hour), kms.ErrUnauthenticated, "the token has reached its maximum")
	})
}

func TestRunLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var vault transittest.Server
		cfg := vault.Config("prod") // the root token needs nothing
		requests := counting(&cfg)
		if err := run(t, open(t, cfg), 24*time.Hour-time.Minute); err != context.DeadlineExceeded {
			t.Errorf("Run: %v", err)
		}
		if n := requests["auth/token/lookup-self"]; n != 24 || requests["auth/token/renew-self"] != 0 {
			t.Errorf("requests in 24 hours: %v", requests)
		}

		cfg = vault.Config("prod")
		cfg.DisableRenewal = true
		cfg.Token = vault.IssueToken(time.Hour, time.Hour, true)
		requests = counting(&cfg)
		if err := run(t, open(t, cfg), 24*time.Hour); err != context.DeadlineExceeded || len(requests) != 0 {
			t.Errorf("Run with DisableRenewal: %v, requests %v", err, requests)
		}
	})
}

// TestRunFollowsTokenFile replaces the token in a file by another one, after it
// stopped working.
func TestRunFollowsTokenFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var vault transittest.Server
		cfg := vault.Config("prod")
		cfg.Token, cfg.TokenFile = "", filepath.Join(t.TempDir(), "token")
		write := func(token string) {
			if err := os.WriteFile(cfg.TokenFile, []byte(token), 0o600); err != nil {
				t.Error(err)
			}
		}
		w := open(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }() // there is no file yet

		time.Sleep(time.Hour)
		first := vault.IssueToken(time.Hour, 1000*time.Hour, true)
		write(first)
		time.Sleep(10 * time.Hour)
		if _, err := w.Probe(t.Context()); err != nil {
			t.Errorf("with the first token: %v", err)
		}
		vault.Revoke(first)
		if _, err := w.Probe(t.Context()); !errors.Is(err, kms.ErrUnauthenticated) {
			t.Errorf("with a revoked token: %v", err)
		}
		time.Sleep(10 * time.Hour)
		write(vault.IssueToken(time.Hour, 1000*time.Hour, true))
		time.Sleep(10 * time.Hour)
		if _, err := w.Probe(t.Context()); err != nil {
			t.Errorf("with the second token: %v", err)
		}
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run: %v", err)
		}
	})
}
