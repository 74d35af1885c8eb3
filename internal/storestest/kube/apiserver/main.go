// Command apiserver builds a kube-apiserver from the module proxy for the tests of
// seal/kubestore, and keeps it in the user's cache. It takes 10 to 30 minutes on two
// cores, and some gigabytes of the build cache; it prints where the program is, and
// does nothing if it is there.
//
//	cd internal/storestest && GOWORK=off go run ./kube/apiserver
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/sealwright/sealwright/internal/storestest/kube/kubeserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	path, err := kubeserver.Path()
	if err == nil {
		if _, err = os.Stat(path); err != nil {
			err = build(ctx, path)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}

// build builds the program in a module of its own. Kubernetes' own requires its parts
// by paths in its repository; each is also published, as v0 with the same numbers.
func build(ctx context.Context, path string) error {
	dir, err := os.MkdirTemp("", "sealwright-apiserver")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	const program = "k8s.io/kubernetes/cmd/kube-apiserver"
	files := map[string]string{
		"go.mod":   "module build\n\ngo 1.26.0\n",
		"build.go": "//go:build build\n\npackage build\n\nimport _ \"" + program + "\"\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	goIn := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stderr, os.Stderr
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
		}
		return nil
	}
	edits := []string{"mod", "edit", "-require=k8s.io/kubernetes@v" + kubeserver.Version}
	_, patch, _ := strings.Cut(kubeserver.Version, ".")
	for _, part := range parts {
		edits = append(edits, "-replace="+part+"="+part+"@v0."+patch)
	}
	if err := goIn(edits...); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	built := filepath.Join(dir, "kube-apiserver")
	if err := goIn("build", "-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=v"+kubeserver.Version, "-o", built, program); err != nil {
		return err
	}
	return install(built, path)
}

// install puts the program where it belongs once it is whole.
func install(built, path string) error {
	program, err := os.ReadFile(built)
	if err != nil {
		return err
	}
	half := path + ".half"
	if err := os.WriteFile(half, program, 0o755); err != nil {
		return err
	}
	return os.Rename(half, path)
}

// parts are the modules that Kubernetes replaces by directories of its repository.
var parts = strings.Fields(`
	k8s.io/api k8s.io/apiextensions-apiserver k8s.io/apimachinery k8s.io/apiserver
	k8s.io/cli-runtime k8s.io/client-go k8s.io/cloud-provider k8s.io/cluster-bootstrap
	k8s.io/code-generator k8s.io/component-base k8s.io/component-helpers
	k8s.io/controller-manager k8s.io/cri-api k8s.io/cri-client k8s.io/cri-streaming
	k8s.io/csi-translation-lib k8s.io/dynamic-resource-allocation k8s.io/endpointslice
	k8s.io/externaljwt k8s.io/kms k8s.io/kube-aggregator k8s.io/kube-controller-manager
	k8s.io/kube-proxy k8s.io/kube-scheduler k8s.io/kubectl k8s.io/kubelet k8s.io/metrics
	k8s.io/mount-utils k8s.io/pod-security-admission k8s.io/sample-apiserver
	k8s.io/sample-cli-plugin k8s.io/sample-controller k8s.io/streaming
`)
