package azurekeyvault_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// exhaustive reports whether all trials are to be made, as internal/testlevel has it
// for modules that are not released apart.
func exhaustive() bool { return os.Getenv("SEALWRIGHT_TESTS") == "whole" }

// rsaKey is the key "a" of every test, and otherKey is another: one takes a while to make.
var rsaKey, otherKey = sync.OnceValue(makeRSA), sync.OnceValue(makeRSA)

func makeRSA() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// start starts a fake that ends with the test.
func start(t testing.TB) *azurekeyvaulttest.Server {
	t.Helper()
	s := azurekeyvaulttest.NewServer()
	t.Cleanup(s.Close)
	s.Create("a", azurekeyvaulttest.KeyOptions{RSA: rsaKey()})
	return s
}

// open returns a Wrapper, or ends the test.
func open(t testing.TB, cfg azurekeyvault.Config) *azurekeyvault.Wrapper {
	t.Helper()
	w, err := azurekeyvault.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		algorithm azurekeyvault.Algorithm
		options   azurekeyvaulttest.KeyOptions
		forged    bool
	}{
		"RSA":     {azurekeyvault.RSAOAEP256, azurekeyvaulttest.KeyOptions{}, true},
		"RSA-HSM": {azurekeyvault.RSAOAEP256, azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL}, true},
		"A256KW":  {azurekeyvault.A256KW, azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL}, false},
		"A256GCM": {azurekeyvault.A256GCM, azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL}, false},
	} {
		if name == "RSA-HSM" && !exhaustive() {
			continue // it is RSA with the address of A256KW
		}
		t.Run(name, func(t *testing.T) {
			s := start(t)
			for name, private := range map[string]func() *rsa.PrivateKey{"a": rsaKey, "b": otherKey} {
				o := c.options
				if c.forged {
					o.RSA = private()
				}
				s.Create(name, o)
			}
			newWrapper := func(t *testing.T, key string) kms.Wrapper {
				cfg := s.Config(key)
				cfg.Algorithm = c.algorithm
				return open(t, cfg)
			}
			rotate, cases := func(_ *testing.T, key string) { s.Rotate(key) }, faultCases(s)
			switch {
			case name == "RSA" && !exhaustive():
				rotate = nil // it takes a while to make a key, and TestForeignCiphertext rotates one
			case name == "A256KW" && !exhaustive():
				cases = nil // A256GCM has them at the same address
			}
			kmstest.Conformance(t, newWrapper, kmstest.Options{
				Forgeable: c.forged,
				Unbound:   c.algorithm != azurekeyvault.A256GCM,
				Rotate:    rotate,
				Stall: func(t *testing.T, arrived func()) {
					s.Script(func(kmstest.Call) kmstest.Fault {
						arrived()
						return kmstest.Fault{Failure: kmstest.Hang}
					})
					t.Cleanup(func() { s.Script(nil) })
				},
				Faults: cases,
			})
		})
	}
}

// faultCases are the faults of package kmstest, and what Azure makes of them.
func faultCases(s *azurekeyvaulttest.Server) []kmstest.FaultCase {
	scripted := func(f kmstest.Fault) func(t *testing.T) {
		return func(t *testing.T) {
			s.Script(kmstest.Always(f))
			t.Cleanup(func() { s.Script(nil) })
		}
	}
	var cases []kmstest.FaultCase
	for _, f := range kmstest.Failures() {
		c := kmstest.FaultCase{Name: string(f), Want: f.Kind(), Inject: scripted(kmstest.Fault{Failure: f})}
		switch f {
		case kmstest.Hang, kmstest.WrongPlaintext, kmstest.OtherPlaintext:
			continue // no answer, and answers that nobody but the caller can see through
		case kmstest.Recreated, kmstest.AliasMoved:
			c.Want = kms.ErrKeyGone // the version is not found
		}
		cases = append(cases, c)
	}
	after := 17 * time.Second
	cases = append(cases,
		kmstest.FaultCase{Name: "throttled for a while", Want: kms.ErrThrottled, RetryAfter: after,
			Inject: scripted(kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: after})},
		kmstest.FaultCase{Name: "server error for a while", Want: kms.ErrUnavailable, RetryAfter: after,
			Inject: scripted(kmstest.Fault{Failure: kmstest.ServerError, RetryAfter: after})},
		kmstest.FaultCase{Name: "answer lost", Want: kms.ErrUnavailable,
			Inject: scripted(kmstest.Fault{Failure: kmstest.NoDNS, After: true})},
		kmstest.FaultCase{Name: "really disabled", Want: kms.ErrKeyDisabled, Inject: func(t *testing.T) {
			s.Disable("a", "")
			t.Cleanup(func() { s.Enable("a", "") })
		}},
		kmstest.FaultCase{Name: "really deleted", Want: kms.ErrKeyGone, Inject: func(t *testing.T) {
			s.ScheduleDeletion("a", time.Now().Add(time.Hour))
			t.Cleanup(func() { s.Recover("a") })
		}},
		kmstest.FaultCase{Name: "really recreated", Want: kms.ErrKeyGone, Inject: func(t *testing.T) { s.Recreate("a") }},
		kmstest.FaultCase{Name: "answers without end", Want: kms.ErrUnavailable, Inject: func(t *testing.T) {
			s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				for range 32 {
					_, _ = w.Write(make([]byte, 64<<10)) // it fails once the client has had enough
				}
				return true
			})
			t.Cleanup(func() { s.Intercept(nil) })
		}},
	)
	return cases
}

// TestSizes wraps with RSA keys of every size, and the longest key.
func TestSizes(t *testing.T) {
	s := start(t)
	keys := map[int]*rsa.PrivateKey{2048: rsaKey()}
	for _, bits := range []int{3072, 4096} { // which take seconds to make
		der, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("rsa-%d.der", bits)))
		if err != nil {
			t.Fatal(err)
		}
		if keys[bits], err = x509.ParsePKCS1PrivateKey(der); err != nil {
			t.Fatal(err)
		}
	}
	for bits, private := range keys {
		if private.N.BitLen() != bits {
			t.Fatalf("a key of %d bits, and not %d", private.N.BitLen(), bits)
		}
		s.Create("a", azurekeyvaulttest.KeyOptions{RSA: private})
		w := open(t, s.Config("a"))
		key := bytes.Repeat([]byte("longest "), kms.MaxKeySize/8)
		blob, err := w.Wrap(t.Context(), key, place)
		if err != nil {
			t.Fatalf("RSA-%d: %v", bits, err)
		}
		got, err := w.Unwrap(t.Context(), blob, place)
		if err != nil || !bytes.Equal(got, key) || len(blob.Ciphertext) != 1+bits/8 {
			t.Errorf("RSA-%d: a blob of %d bytes holds %d, %v", bits, len(blob.Ciphertext), len(got), err)
		}
	}
}
