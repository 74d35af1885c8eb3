package kubetest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	core "k8s.io/api/core/v1"
)

// fleets are the variants of examples/kubernetes/fleet.
var fleets = []string{"fleet/etcd", "fleet/secrets"}

// made are the Secrets that the README has people make.
func (o *objects) made(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(manifests, "fleet", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("kubectl create secret generic ([a-z-]+)|make the Secret `([a-z-]+)`").FindAllStringSubmatch(string(text), -1) {
		if s := o.secrets[m[1]+m[2]]; s != nil && s.Name != "" {
			t.Errorf("the README has people make %s, which is in the manifests", m[1]+m[2])
		}
		o.secrets[m[1]+m[2]] = &core.Secret{}
	}
}

func TestFleet(t *testing.T) {
	all, err := readSchemas(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, fleet := range fleets {
		t.Run(fleet, func(t *testing.T) {
			documents := build(t, fleet, "")
			o, err := parse(documents, all)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"notes-seal", "notes-roster", "notes-data"} {
				if s := o.secrets[name]; (s != nil) != (fleet == "fleet/secrets") || s != nil && len(s.Data)+len(s.StringData) > 0 {
					t.Errorf("%s is %v: one with data would replace a record when it is applied again", name, s)
				}
			}
			o.made(t)
			if err := o.closed(); err != nil {
				t.Error(err)
			}
			confined(t, o, fleet == "fleet/secrets")
			if o.roles["notes-custodians"] == nil || len(o.networks) != 1 || len(o.budgets) != 1 || *o.set.Spec.Replicas != 3 {
				t.Errorf("%d objects", len(documents))
			}
		})
	}
}
