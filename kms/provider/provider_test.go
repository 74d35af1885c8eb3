package provider_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms/provider"
)

// TestNothingIsShown: a secret in place of a path, by each of the functions.
func TestNothingIsShown(t *testing.T) {
	const secret = "-----BEGIN PRIVATE KEY-----canary"
	_, path := provider.Path("F", secret, false)
	_, read := provider.ReadFile("F", secret)
	cause := errors.New("no such thing")
	made := provider.FileError("F", secret, cause)
	for name, text := range map[string]string{
		"Path": path.Error(), "ReadFile": read.Error(), "FileError": made.Error(), "Show": "F " + provider.Show(secret),
	} {
		if strings.Contains(text, "canary") || !strings.HasPrefix(text, "F") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if !errors.Is(made, cause) || !errors.Is(read, fs.ErrNotExist) || provider.FileError("F", secret, nil) != nil {
		t.Errorf("the cause is out of reach: %v, %v", made, read)
	}
	if !provider.IsContent(secret) || provider.IsContent("/run/secrets/aws") {
		t.Error("a path passes for content, or content for a path")
	}
	if got := provider.Line("two\n\x1b[2Jlines, and more", 12); got != "two [2Jlines…" {
		t.Errorf("%q", got)
	}
}
