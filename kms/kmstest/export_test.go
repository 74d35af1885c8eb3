package kmstest

import (
	"testing"

	"github.com/sealwright/sealwright/kms"
)

// CheckNames returns the names of all checks.
func CheckNames() []string {
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	return names
}

// Check runs one check and returns what it found.
func Check(t *testing.T, name string, open func(t *testing.T, key string) kms.Wrapper, opts Options) error {
	for _, c := range checks {
		if c.name == name {
			return c.run(&suite{t: t, open: open, opts: opts})
		}
	}
	t.Fatalf("no check %q", name)
	return nil
}
