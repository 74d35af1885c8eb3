package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/examples/internal/flags/flagstest"
)

func TestDemo(t *testing.T) {
	var out strings.Builder
	if err := runDemo(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "Every step verified itself") {
		t.Error(out.String())
	}
}

// TestNoPlainHTTPToOthers: the tokens and the root keys of others travel there.
func TestNoPlainHTTPToOthers(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "10.0.0.5:8200", "unsealer.example:8200", "[::]:0"} {
		if err := run(t.Context(), t.TempDir(), address, "", ""); err == nil || !strings.Contains(err.Error(), "over TLS") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestClients: the file has no token, one client has one, and what is no line of
// it is nobody's.
func TestClients(t *testing.T) {
	c := clients{t.TempDir()}
	if whose, err := c.of("s.x"); whose != "" || err != nil {
		t.Error(whose, err)
	}
	token, err := c.add("vault-a")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"vault-a", "", "A", "a b", "../a", ".a", "a.", strings.Repeat("a", 65)} {
		if _, err := c.add(bad); err == nil {
			t.Errorf("%q is a client", bad)
		}
	}
	content, err := os.ReadFile(c.path())
	if err != nil || strings.Contains(string(content), token) || strings.Contains(string(content), token[2:]) {
		t.Error(err, "the token stands in the file")
	}
	if err := os.WriteFile(c.path(), []byte("# a comment\n\nno-digest\nshort 00\n"+string(content)), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{token: "vault-a", token[:len(token)-1]: "", "": "", "no-digest": ""} {
		if whose, err := c.of(text); whose != want || err != nil {
			t.Errorf("%q: %q %v", text, whose, err)
		}
	}
	if err := os.Remove(c.path()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.path(), 0o700); err != nil {
		t.Fatal(err)
	}
	if whose, err := c.of(token); whose != "" || err == nil || errors.Is(err, errDenied) {
		t.Error("a file that cannot be read lets somebody in, or says nothing")
	}
}

func TestForgottenDash(t *testing.T) { flagstest.Dashless(t, main) }
