package examples_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// What the tests read of the manifests. Package kubetest checks the whole of them
// against the types and the schemas of Kubernetes.
type object struct {
	Kind       string
	Metadata   struct{ Name string }
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		Template struct{ Spec podSpec }
	}
}

type podSpec struct {
	SecurityContext struct {
		RunAsUser, FSGroup uint32
	} `yaml:"securityContext"`
	Containers []container
	Volumes    []volume
}

type volume struct {
	Name   string
	Secret struct {
		SecretName  string `yaml:"secretName"`
		DefaultMode uint32 `yaml:"defaultMode"`
	}
}

type container struct {
	Args []string
	Env  []struct{ Name, Value string }

	Ports          []port
	LivenessProbe  probe   `yaml:"livenessProbe"`
	ReadinessProbe probe   `yaml:"readinessProbe"`
	VolumeMounts   []mount `yaml:"volumeMounts"`
	Resources      struct{ Limits struct{ Memory string } }
}

type port struct {
	Name          string
	ContainerPort string `yaml:"containerPort"`
}

type mount struct {
	Name      string
	MountPath string `yaml:"mountPath"`
	ReadOnly  bool   `yaml:"readOnly"`
	SubPath   string `yaml:"subPath"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// read returns the objects of the manifests in directories of kubernetes.
func read(t *testing.T, dirs ...string) (objects []object) {
	t.Helper()
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join("kubernetes", dir, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s holds no manifests: %v", dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
				var o object
				if err := d.Decode(&o); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				objects = append(objects, o)
			}
		}
	}
	return objects
}

// A workload is a pod of the manifests, and the files that its Secrets hold.
type workload struct {
	podSpec
	container
	secrets map[string]map[string]string
}

func readWorkload(t *testing.T, dir string) *workload {
	t.Helper()
	w := &workload{secrets: map[string]map[string]string{}}
	for _, o := range read(t, "base", dir) {
		switch o.Kind {
		case "Secret":
			w.secrets[o.Metadata.Name] = o.StringData
		case "StatefulSet", "Deployment":
			w.podSpec = o.Spec.Template.Spec
		}
	}
	if len(w.Containers) != 1 {
		t.Fatalf("%s has a pod of %d containers", dir, len(w.Containers))
	}
	w.container = w.Containers[0]
	return w
}

// arg returns the value of one of the program's flags.
func (w *workload) arg(name string) string {
	for _, a := range w.Args {
		if v, ok := strings.CutPrefix(a, "-"+name+"="); ok {
			return v
		}
	}
	return ""
}

var variants = []string{"single", "replicas"}

// The probes ask what the program serves, on the port that it listens at.
func TestProbes(t *testing.T) {
	for _, dir := range variants {
		w := readWorkload(t, dir)
		if live, ready := w.LivenessProbe.HTTPGet, w.ReadinessProbe.HTTPGet; live.Path != "/livez" || ready.Path != "/readyz" {
			t.Errorf("%s: the probes are %v and %v", dir, live, ready)
		}
		for _, p := range []probe{w.LivenessProbe, w.ReadinessProbe} {
			i := slices.IndexFunc(w.Ports, func(port port) bool { return port.Name == p.HTTPGet.Port })
			_, port, err := net.SplitHostPort(w.arg("addr"))
			if i < 0 || err != nil || w.Ports[i].ContainerPort != port {
				t.Errorf("%s: probe %v, ports %v, -addr %s", dir, p, w.Ports, w.arg("addr"))
			}
		}
		// The whole reason names keys: only whoever may forward ports reads it.
		if host, _, err := net.SplitHostPort(w.arg("operators")); err != nil || !net.ParseIP(host).IsLoopback() {
			t.Errorf("%s: -operators is %q", dir, w.arg("operators"))
		}
	}
}

// Files are mounted as directories, which follow a change, and -init stands in
// no manifest.
func TestMounts(t *testing.T) {
	for _, dir := range variants {
		w := readWorkload(t, dir)
		for _, m := range w.VolumeMounts {
			if m.SubPath != "" {
				t.Errorf("%s: %s is mounted by subPath, and follows no change", dir, m.MountPath)
			}
		}
		for _, a := range w.Args {
			if strings.HasPrefix(strings.TrimLeft(a, "-"), "init") {
				t.Errorf("%s: a pod makes its store: %s", dir, a)
			}
		}
		for _, m := range w.VolumeMounts {
			if m.MountPath == w.arg("dir") {
				t.Errorf("%s: the record is at the top of its volume, which is there without it too", dir)
			}
		}
	}
}

// Every seal stanza is one that the program takes, and refers to files that are
// in the same Secret or come from the cluster.
func TestStanzas(t *testing.T) {
	providers, err := fakeclouds.Providers("")
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		"base": "azurekeyvault", "identity/azure": "azurekeyvault", "identity/gke": "gcpckms", "identity/eks": "awskms",
	} {
		t.Run(dir, func(t *testing.T) {
			found := 0
			for _, o := range read(t, dir) {
				text, ok := o.StringData["seal.hcl"]
				if !ok {
					continue
				}
				found++
				stanzas, err := sealconf.Parse([]byte(text), "seal.hcl")
				if err != nil {
					t.Fatal(err)
				}
				setup, err := sealconf.Build(stanzas, sealconf.Options{Providers: providers, AllowEnvironment: dir == "identity/gke"})
				if err != nil {
					t.Fatal(err)
				}
				notes := slices.DeleteFunc(setup.Notes, func(note string) bool { // of a key that needs a pin
					return len(setup.Forgeable) > 0 && strings.Contains(note, "write its fingerprint as pin")
				})
				if got := slices.Collect(maps.Keys(setup.Slots)); !slices.Equal(got, []string{want}) || len(notes) > 0 {
					t.Errorf("slots %v, notes %q", got, notes)
				}
				if slot := setup.Slots[want]; seal.HasPeople(slot) {
					t.Errorf("a pod cannot ask people: %v", slot)
				}
				for _, line := range strings.Split(text, "\n") {
					if _, path, ok := strings.Cut(line, "file:///etc/notes/"); ok && o.StringData[strings.Trim(path, "\" ")] == "" {
						t.Errorf("the Secret has no %s", path)
					}
				}
			}
			if found != 1 {
				t.Errorf("%d stanzas", found)
			}
		})
	}
}
