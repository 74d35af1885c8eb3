//go:build unix

package main

import (
	"flag"
	"io"
	"testing"
)

// The arguments of the manifests are the program's.
func TestArguments(t *testing.T) {
	for _, documents := range []string{"etcd", "secrets"} {
		var c config
		f := c.flags()
		f.Init(f.Name(), flag.ContinueOnError)
		f.SetOutput(io.Discard)
		args := append(containerArgs(t, "base/statefulset.yaml"), containerArgs(t, documents+"/kustomization.yaml")...)
		if err := f.Parse(args); err != nil || f.NArg() > 0 {
			t.Fatalf("%s: %q: %v", documents, args, err)
		}
		c.replica = "notes-0" // for $(POD_NAME)
		if err := c.check(); err != nil {
			t.Errorf("%s: %v", documents, err)
		}
		if (c.etcd != "") != (documents == "etcd") || c.secrets != (documents == "secrets") {
			t.Errorf("%s: %+v", documents, c)
		}
	}
}
