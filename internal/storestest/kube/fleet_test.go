//go:build unix

package kube_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/storestest/kube/kubeserver"
)

var story = flag.Bool("story", false, "have TestFleet play the story of examples/kubernetes/fleet, which takes half a minute")

const (
	fleet     = "../../../examples/kubernetes/fleet"
	namespace = "/api/v1/namespaces/fleet"
)

// TestFleet has the API server take the manifests of examples/kubernetes/fleet, and
// asks what they grant. With -story it plays that story over their Secrets, with the
// rights of their service account; the pods are processes.
func TestFleet(t *testing.T) {
	s := server(t)
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("no kubectl in the PATH")
	}
	apply := func(args ...string) {
		t.Helper()
		args = append([]string{"--namespace=fleet", "apply"}, args...)
		if out, err := s.Kubectl(t.Context(), kubeserver.Admin, args...).CombinedOutput(); err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	do(t, s, "POST", "/api/v1/namespaces", `{"metadata": {"name": "fleet"}}`, 201)
	apply("--dry-run=server", "-k", fleet+"/etcd")
	apply("-k", fleet+"/secrets")

	token := accountToken(t, s)
	store := open(t, s, token, "fleet", "notes-seal")
	if *story {
		playStory(t, s, token)
	} else if _, err := store.Swap(t.Context(), []byte("a record"), ""); err != nil {
		t.Fatal(err)
	}
	before, rev, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	apply("-k", fleet+"/secrets")
	if after, at, err := store.Load(t.Context()); err != nil || string(after) != string(before) || at != rev {
		t.Errorf("the manifests were applied again, and the record is %q at %q, %v", after, at, err)
	}

	const notes, ann = "system:serviceaccount:fleet:notes", "ann"
	do(t, s, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/fleet/rolebindings", `{"metadata": {"name": "custodians"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "notes-custodians"}, "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}]}`, 201)
	for _, q := range []struct {
		who, verb, resource, subresource, name string
		want                                   bool
	}{
		{notes, "get", "secrets", "", "notes-seal", true},
		{notes, "update", "secrets", "", "notes-roster", true},
		{notes, "update", "secrets", "", "notes-data", true},
		{notes, "watch", "secrets", "", "notes-seal", true},
		{notes, "watch", "secrets", "", "", false},
		{notes, "delete", "secrets", "", "notes-seal", false},
		{notes, "get", "secrets", "", "notes-replicas", false},
		{notes, "list", "secrets", "", "", false},
		{notes, "create", "secrets", "", "", false},
		{notes, "get", "pods", "", "notes-0", false},
		{ann, "get", "pods", "", "notes-2", true},
		{ann, "create", "pods", "portforward", "notes-2", true},
		{ann, "create", "pods", "portforward", "other-0", false},
		{ann, "create", "pods", "exec", "notes-2", false},
		{ann, "get", "secrets", "", "notes-seal", false},
	} {
		body := fmt.Sprintf(`{"spec": {"user": %q, "resourceAttributes": {"namespace": "fleet", "verb": %q, "resource": %q, "subresource": %q, "name": %q}}}`,
			q.who, q.verb, q.resource, q.subresource, q.name)
		var answer struct{ Status struct{ Allowed bool } }
		ask(t, s, "/apis/authorization.k8s.io/v1/subjectaccessreviews", body, &answer)
		if answer.Status.Allowed != q.want {
			t.Errorf("%+v: %t", q, answer.Status.Allowed)
		}
	}
}

// accountToken returns a token of the fleet's service account.
func accountToken(t *testing.T, s *kubeserver.Server) string {
	t.Helper()
	var answer struct{ Status struct{ Token string } }
	ask(t, s, namespace+"/serviceaccounts/notes/token", `{}`, &answer)
	return answer.Status.Token
}

func ask(t *testing.T, s *kubeserver.Server, path, body string, answer any) {
	t.Helper()
	code, text, err := s.Do(t.Context(), "POST", path, body)
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil || code != 201 {
		t.Fatalf("POST %s = %d, %v", path, code, err)
	}
}

// playStory plays it by way of a kubectl proxy that has the token.
func playStory(t *testing.T, s *kubeserver.Server, token string) {
	t.Helper()
	proxy := s.Kubectl(t.Context(), token, "proxy", "--port=0")
	out, err := proxy.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	defer proxy.Wait()
	defer proxy.Process.Kill()
	line, err := bufio.NewReader(out).ReadString('\n')
	_, address, ok := strings.Cut(strings.TrimSpace(line), "Starting to serve on ")
	if !ok {
		t.Fatalf("kubectl proxy says %q, %v", line, err)
	}
	play := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", "-v", "-run=^TestStoryInSecrets$", ".",
		"-args", "-proxy=http://"+address, "-namespace=fleet")
	play.Dir = fleet
	text, err := play.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "GUARANTEE 29") {
		t.Fatalf("%v\n%s", err, text)
	}
	_, figures, _ := strings.Cut(string(text), "GUARANTEE 29 story-in-secrets: ")
	figures, _, _ = strings.Cut(figures, "\n")
	t.Logf("GUARANTEE 29 story-in-kubernetes: %s", figures)
}
