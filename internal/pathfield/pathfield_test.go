package pathfield_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/pathfield"
)

// Contents are what people write where a path is meant. "canary" is the secret.
func contents() map[string]string {
	return map[string]string{
		"a service account":     `{"type":"service_account","private_key":"canary"}`,
		"the same, indented":    "{\n  \"private_key\": \"canary\"\n}\n",
		"PEM":                   "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
		"PEM on one line":       "-----BEGIN PRIVATE KEY-----canary",
		"a web token":           "eyJhbGciOiJSUzI1NiJ9.canary.c2ln",
		"a long web token":      "eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("canary", 100) + ".c2ln",
		"base64":                strings.Repeat("canary", 20),
		"a credentials profile": "[default]\naws_secret_access_key = canary",
		"PKCS#12":               "0\x82\x00canary",
	}
}

func TestContentWhereAPathIsMeant(t *testing.T) {
	for name, content := range contents() {
		for _, prefix := range []string{"", "file://", "env://", "variable"} {
			value := prefix + content
			if prefix == "variable" {
				if strings.Contains(content, "\x00") {
					continue // no variable holds that
				}
				t.Setenv("PATHFIELD_TEST", content)
				value = "env://PATHFIELD_TEST"
			}
			path, err := pathfield.Resolve("CredentialsFile", value, true)
			if err == nil || path != "" {
				t.Errorf("%s%s: it passes for a path", prefix, name)
				continue
			}
			if strings.Contains(err.Error(), "canary") || !strings.HasPrefix(err.Error(), "CredentialsFile") {
				t.Errorf("%s%s: the error is %q", prefix, name, err)
			}
		}
		if shown := pathfield.Show(content); strings.Contains(shown, "canary") {
			t.Errorf("%s: shown as %s", name, shown)
		}
	}
}

func TestResolve(t *testing.T) {
	t.Setenv("PATHFIELD_TEST", "/run/secrets/aws")
	t.Setenv("PATHFIELD_FILE", "file:///run/secrets/aws")
	for value, want := range map[string]string{
		"":                     "",
		"/run/secrets/aws":     "/run/secrets/aws",
		"credentials":          "credentials",
		"file:///run/a b":      "/run/a b",
		"file://relative":      "relative",
		"env://PATHFIELD_TEST": "/run/secrets/aws",
		"env://PATHFIELD_FILE": "/run/secrets/aws",
		"/var/run/secrets/eks.amazonaws.com/serviceaccount/a/very/long/path/token": "/var/run/secrets/eks.amazonaws.com/serviceaccount/a/very/long/path/token",
	} {
		if got, err := pathfield.Resolve("F", value, true); err != nil || got != want {
			t.Errorf("Resolve(%q) = %q, %v", value, got, err)
		}
	}
	for value, says := range map[string]string{
		"env://PATHFIELD_UNSET": `F: the variable "PATHFIELD_UNSET" is not set`,
		"file://":               "F: there is no path behind file://",
	} {
		if _, err := pathfield.Resolve("F", value, true); err == nil || err.Error() != says {
			t.Errorf("Resolve(%q): %v", value, err)
		}
	}
	if _, err := pathfield.Resolve("F", "env://PATHFIELD_TEST", false); err == nil || !strings.Contains(err.Error(), "F refers to a variable, and the environment is not read") {
		t.Errorf("a variable is read that may not be: %v", err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("value"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := pathfield.Read("F", path); err != nil || string(b) != "value" {
		t.Errorf("%q, %v", b, err)
	}
	missing := filepath.Join(dir, "missing")
	_, err := pathfield.Read("F", missing)
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != `F: file "`+missing+`": no such file or directory` {
		t.Errorf("%v", err)
	}
	// A secret that looks like nothing at all is not shown either.
	canary := "wJalrXUtnFEMI/K7MDENG/bPxRfiCYcanaryKEY00"
	if _, err := pathfield.Read("F", canary); err == nil || strings.Contains(err.Error(), "canary") || !strings.HasPrefix(err.Error(), "F: file ") {
		t.Errorf("%v", err)
	}
	if _, err := pathfield.Read("F", dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pathfield.Read("F", path); err == nil || !strings.Contains(err.Error(), "longer than 1048576 bytes") {
		t.Errorf("%v", err)
	}
}
