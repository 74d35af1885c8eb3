package kubetest

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// The directory of the manifests.
const manifests = "../../examples/kubernetes"

var (
	workloads  = []string{"single", "replicas"}
	identities = []string{"", "azure", "gke", "eks"}
)

// build is what kubectl apply -k would send for a workload with an identity.
func build(t *testing.T, workload, identity string) [][]byte {
	t.Helper()
	dir := filepath.Join(manifests, workload)
	if identity != "" {
		// As the README writes it, in a directory of the user's own.
		dir = t.TempDir()
		text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - " + relative(t, dir, workload) +
			"\ncomponents:\n  - " + relative(t, dir, "identity/"+identity) + "\n"
		if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(text, []byte("\n---\n"))
}

func relative(t *testing.T, from, to string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join(manifests, to))
	if err == nil {
		from, err = filepath.EvalSymlinks(from)
	}
	if err == nil {
		abs, err = filepath.Rel(from, abs)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.ToSlash(abs)
}

func TestManifests(t *testing.T) {
	all, err := readSchemas(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, workload := range workloads {
		for _, identity := range identities {
			t.Run(workload+" "+identity, func(t *testing.T) {
				documents := build(t, workload, identity)
				o, err := parse(documents, all)
				if err != nil {
					t.Fatal(err)
				}
				if err := o.closed(); err != nil {
					t.Error(err)
				}
				confined(t, o, false)
				if o.set != nil && *o.set.Spec.Replicas != 1 {
					t.Error("more than one replica, and the record is in a file")
				}
				identified(t, o, identity)
				t.Logf("%d objects", len(documents))
			})
		}
	}
}

// confined checks what the pod may do: as little as a pod can, and whether it gets a
// token for the cluster.
func confined(t *testing.T, o *objects, token bool) {
	t.Helper()
	pod, c := o.pods.Spec, o.pods.Spec.Containers[0]
	for what, ok := range map[string]bool{
		"runs as a user":      *pod.SecurityContext.RunAsNonRoot && *pod.SecurityContext.RunAsUser > 0,
		"volumes are its own": *pod.SecurityContext.FSGroup > 0,
		"seccomp":             pod.SecurityContext.SeccompProfile.Type == core.SeccompProfileTypeRuntimeDefault,
		"no escalation":       !*c.SecurityContext.AllowPrivilegeEscalation,
		"root is read-only":   *c.SecurityContext.ReadOnlyRootFilesystem,
		"no capability":       slices.Equal(c.SecurityContext.Capabilities.Drop, []core.Capability{"ALL"}) && len(c.SecurityContext.Capabilities.Add) == 0,
		"a token":             *pod.AutomountServiceAccountToken == token,
		"memory is bounded":   c.Resources.Limits.Memory().Cmp(resource.MustParse("64Mi")) <= 0,
		"memory is requested": !c.Resources.Requests.Memory().IsZero(),
		"no secret variable":  !slices.ContainsFunc(c.Env, func(e core.EnvVar) bool { return e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil }),
		"secrets are for it":  !slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.Secret != nil && *v.Secret.DefaultMode&0o007 != 0 }),
		"sealed pods are met": o.services["notes-pods"].Spec.PublishNotReadyAddresses && !o.services["notes"].Spec.PublishNotReadyAddresses,
		"liveness has no KMS": c.LivenessProbe.HTTPGet.Path == "/livez",
		"readiness is readyz": c.ReadinessProbe.HTTPGet.Path == "/readyz",
	} {
		if !ok {
			t.Errorf("not so: %s", what)
		}
	}
}

// identified checks that an identity is the pod's, and leaves no secret behind.
func identified(t *testing.T, o *objects, identity string) {
	t.Helper()
	annotation := map[string]string{
		"azure": "azure.workload.identity/client-id", "gke": "iam.gke.io/gcp-service-account", "eks": "eks.amazonaws.com/role-arn",
	}[identity]
	if got := o.accounts["notes"].Annotations; (annotation == "") != (len(got) == 0) || annotation != "" && got[annotation] == "" {
		t.Errorf("the service account's annotations are %v", got)
	}
	if got := o.pods.Labels["azure.workload.identity/use"]; (got == "true") != (identity == "azure") {
		t.Errorf("the pods' labels are %v", o.pods.Labels)
	}
	if got := slices.Contains(o.pods.Spec.Containers[0].Args, "-env"); got != (identity == "gke") {
		t.Errorf("-env: %t", got)
	}
	data := o.secrets["notes-seal"].StringData
	if _, secret := data["client-secret"]; secret != (identity == "") {
		t.Errorf("a client secret: %t", secret)
	}
	if strings.Contains(data["seal.hcl"], "client_secret") != (identity == "") {
		t.Errorf("the stanza is %s", data["seal.hcl"])
	}
}

// Each fault is planted in what was built, and found by the check that is there
// for it.
func TestFaultsAreFound(t *testing.T) {
	all, err := readSchemas(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ workload, from, to, says string }{
		"a field that is none":       {"single", "readinessProbe:", "readynessProbe:", `unknown field "spec.template.spec.containers[0].readynessProbe"`},
		"a field in another place":   {"single", "publishNotReadyAddresses: true", "fsGroup: 1", "strict decoding"},
		"a text for a number":        {"replicas", "replicas: 3", "replicas: three", "strict decoding"},
		"a quantity that is none":    {"single", "memory: 64Mi", "memory: 64 MiB", "strict decoding"},
		"a field twice":              {"single", "replicas: 1", "replicas: 1\n  replicas: 2", "strict decoding"},
		"a number of another kind":   {"replicas", "maxSurge: 1", "maxSurge: 1.5", "strict decoding"},
		"a required field":           {"single", "name: notes\n        ports:", "ports:", "schema of StatefulSet"},
		"another required field":     {"replicas", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: notes\n  strategy:", "  strategy:", "schema of Deployment"},
		"labels that differ":         {"single", "matchLabels:\n      app.kubernetes.io/name: notes", "matchLabels:\n      app.kubernetes.io/name: note", "does not select the pods"},
		"a port that is not there":   {"single", "targetPort: http", "targetPort: web", "no container has"},
		"a probe of no port":         {"replicas", "port: http\n          periodSeconds: 5", "port: web\n          periodSeconds: 5", "a probe asks no port"},
		"a Secret that is not there": {"replicas", "secretName: notes-database", "secretName: notes-db", `no Secret "notes-db"`},
		"a volume that is not there": {"single", "- mountPath: /data\n          name: data", "- mountPath: /data\n          name: date", `no volume "date"`},
		"no service account":         {"single", "serviceAccountName: notes", "serviceAccountName: note", `no ServiceAccount "note"`},
		"a port let in for none":     {"fleet/etcd", "- port: handoff\n", "- port: hand-off\n", "lets in port"},
		"a policy for others":        {"fleet/etcd", "  policyTypes:", "    matchExpressions: [{key: a, operator: Exists}]\n  policyTypes:", "NetworkPolicy does not select"},
		"a grant that is too wide":   {"fleet/secrets", "  resourceNames:\n  - notes-seal\n  - notes-roster\n  - notes-data\n", "", "grants all [secrets]"},
		"a grant for another Secret": {"fleet/secrets", "  - notes-roster\n", "  - notes-rooster\n", `for "notes-rooster", which is not there`},
		"a Role that is not there":   {"fleet/secrets", "kind: Role\n  name: notes\n", "kind: Role\n  name: note\n", `no Role "note"`},
		"a verb that is none":        {"fleet/secrets", "  verbs:\n", "  verb:\n", "strict decoding"},
		"more asked than allowed":    {"single", "memory: 32Mi", "memory: 65Mi", "above the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			documents := build(t, c.workload, "")
			planted := 0
			for i, d := range documents {
				if n := bytes.Count(d, []byte(c.from)); n > 0 {
					planted += n
					documents[i] = bytes.Replace(d, []byte(c.from), []byte(c.to), 1)
				}
			}
			if planted == 0 {
				t.Fatalf("%q is not in the manifests:\n%s", c.from, bytes.Join(documents, []byte("\n---\n")))
			}
			o, err := parse(documents, all)
			if err == nil {
				err = o.closed()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}
