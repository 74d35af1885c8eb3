//go:build unix

package examples_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
)

// patience is how long a test waits for what it expects.
const patience = 2 * time.Minute

// program is the server.
func program() (string, error) {
	dir, err := programs()
	return filepath.Join(dir, "autounseal"), err
}

// A node is a directory that stands for the root of a pod's file system, with
// the volumes in it as Kubernetes mounts them. The pod's user may write nowhere
// but to the volume for data.
type node struct {
	t      *testing.T
	w      *workload
	dir    string
	clouds *fakeclouds.Clouds
}

// newNode mounts what the workload mounts. The stanza names the fake vault.
func newNode(t *testing.T, w *workload) *node {
	t.Helper()
	testlevel.NeedsWhole(t, "builds and runs programs")
	dir, err := os.MkdirTemp("", "sealwright-node-") // t.TempDir is for this user alone
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := &node{t: t, w: w, dir: dir}
	n.mkdir("", 0o755)
	n.mkdir("/cloud", 0o755)
	n.clouds, err = fakeclouds.Start(n.path("/cloud"))
	must(t, err)
	t.Cleanup(n.clouds.Close)
	must(t, os.Chmod(n.clouds.File, 0o644))

	files := w.secrets["notes-seal"]
	if files["client-secret"] != "" {
		files["client-secret"], err = n.clouds.Azure.Config("unseal").ClientSecret()
		must(t, err)
	}
	for field, value := range map[string]string{
		"tenant_id": azurekeyvaulttest.TenantID, "client_id": azurekeyvaulttest.ClientID, "vault_name": "sealwright", "key_name": "unseal",
	} {
		line := regexp.MustCompile(`(?m)^(\s*` + field + `\s*=\s*)".*"$`)
		files["seal.hcl"] = line.ReplaceAllString(files["seal.hcl"], "${1}"+strconv.Quote(value))
	}
	for _, v := range w.Volumes {
		if v.Secret.SecretName != "" {
			n.project(v.Secret.SecretName)
		}
	}
	return n
}

// path returns where a path of the pod is here.
func (n *node) path(path string) string { return filepath.Join(n.dir, path) }

// here is a text in which the paths of the pod's mounts are those that they have
// here.
func (n *node) here(text string) string {
	for _, m := range n.w.VolumeMounts {
		text = strings.ReplaceAll(text, m.MountPath, n.path(m.MountPath))
	}
	return text
}

func (n *node) mkdir(path string, mode os.FileMode) {
	n.t.Helper()
	must(n.t, os.MkdirAll(n.path(path), mode))
	must(n.t, os.Chmod(n.path(path), mode))
}

// mount makes the volume for data, empty, as it comes with fsGroup.
func (n *node) mount() {
	n.t.Helper()
	n.mkdir("/data", 0o770|os.ModeSetgid)
	n.chown("/data")
}

// chown gives a file to the pod's group, as fsGroup does.
func (n *node) chown(path string) {
	n.t.Helper()
	if os.Geteuid() == 0 {
		must(n.t, os.Chown(n.path(path), 0, int(n.w.SecurityContext.FSGroup)))
	}
}

// project mounts a Secret, or a new version of it. Files are links by way of
// ..data to a directory, and ..data is replaced as a whole:
// https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter.Write
func (n *node) project(secret string) {
	n.t.Helper()
	mode, mount := os.FileMode(0), ""
	for _, v := range n.w.Volumes {
		if v.Secret.SecretName != secret {
			continue
		}
		mode = os.FileMode(v.Secret.DefaultMode)
		for _, m := range n.w.VolumeMounts {
			if m.Name == v.Name {
				mount = m.MountPath
			}
		}
	}
	n.mkdir(mount, 0o755)
	before, _ := os.Readlink(n.path(mount + "/..data"))
	version := "..version_" + rand.Text()
	n.mkdir(mount+"/"+version, 0o755)
	for name, text := range n.w.secrets[secret] {
		file := mount + "/" + version + "/" + name
		must(n.t, os.WriteFile(n.path(file), []byte(n.here(text)), 0o600))
		n.chown(file)
		must(n.t, os.Chmod(n.path(file), mode))
		if _, err := os.Lstat(n.path(mount + "/" + name)); err != nil {
			must(n.t, os.Symlink("..data/"+name, n.path(mount+"/"+name)))
		}
	}
	must(n.t, os.Symlink(version, n.path(mount+"/..data_tmp")))
	must(n.t, os.Rename(n.path(mount+"/..data_tmp"), n.path(mount+"/..data")))
	if before != "" {
		must(n.t, os.RemoveAll(n.path(mount+"/"+before)))
	}
}

// command is the pod's, as its user where this one may become it.
func (n *node) command(name string, more ...string) *exec.Cmd {
	n.t.Helper()
	binary, err := program()
	must(n.t, err)
	cmd := exec.Command(binary)
	cmd.Dir, cmd.Env = "/", []string{}
	for _, e := range n.w.Env {
		if e.Value != "" {
			cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
		}
	}
	for _, a := range n.w.Args {
		switch flag, _, _ := strings.Cut(a, "="); flag {
		case "-addr", "-operators":
			a = flag + "=127.0.0.1:0" // the pods here share one address
		}
		cmd.Args = append(cmd.Args, n.here(strings.ReplaceAll(a, "$(POD_NAME)", name)))
	}
	cmd.Args = append(append(cmd.Args, "-fakes="+n.clouds.File), more...)
	if user := n.w.SecurityContext; os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user.RunAsUser, Gid: user.FSGroup}}
	}
	return cmd
}

// initialize is what a person does once: kubectl exec … -init.
func (n *node) initialize() {
	n.t.Helper()
	if out, err := n.command("init", "-init").CombinedOutput(); err != nil || !strings.Contains(string(out), "The store is made") {
		n.t.Fatalf("-init: %v\n%s", err, out)
	}
}

// A pod is a process that runs.
type pod struct {
	t              *testing.T
	cmd            *exec.Cmd
	url, operators string
	log            *bytes.Buffer // to be read when the process has ended
}

func (n *node) start(name string) *pod {
	n.t.Helper()
	p := &pod{t: n.t, cmd: n.command(name), log: &bytes.Buffer{}}
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	must(n.t, err)
	must(n.t, p.cmd.Start())
	n.t.Cleanup(func() { p.end(syscall.SIGKILL) })
	lines := bufio.NewScanner(out)
	for _, url := range []*string{&p.url, &p.operators} {
		if !lines.Scan() {
			p.end(syscall.SIGKILL)
			n.t.Fatalf("the pod does not come up:\n%s", p.log)
		}
		*url = lines.Text()
	}
	return p
}

// end sends a signal, and waits.
func (p *pod) end(signal syscall.Signal) error {
	_ = p.cmd.Process.Signal(signal) // it may have ended
	return p.cmd.Wait()
}

func (p *pod) do(method, url, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	must(p.t, err)
	resp, err := http.DefaultClient.Do(req)
	must(p.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(p.t, err)
	return resp.StatusCode, string(text)
}

func (p *pod) get(path string) (int, string) {
	p.t.Helper()
	return p.do("GET", p.url+path, "")
}

// probe asks until readiness is as it should be, for one of the reasons. A pod
// is alive all the time.
func (p *pod) probe(w *workload, want int, words ...string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if code, text := p.get(w.LivenessProbe.HTTPGet.Path); code != http.StatusOK {
			p.t.Fatalf("not alive: %d %s", code, text)
		}
		code, text := p.get(w.ReadinessProbe.HTTPGet.Path)
		_, reason := p.do("GET", p.operators+"/reason", "")
		said := true
		for _, word := range words {
			said = said && strings.Contains(text+reason, word)
		}
		if code == want && said {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not %d with %q, but %d %s %s", want, words, code, text, reason)
		}
	}
}

func (p *pod) write(name, text string) {
	p.t.Helper()
	if code, answer := p.do("PUT", p.url+"/notes/"+name, text); code != http.StatusNoContent {
		p.t.Fatalf("%s is not written: %d %s", name, code, answer)
	}
}
