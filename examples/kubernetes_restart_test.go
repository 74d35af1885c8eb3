//go:build unix

package examples_test

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
)

// A pod on a volume, from its first start to its restarts: what the README walks
// through, with the flags and the files of the manifest.
func TestPodRestart(t *testing.T) {
	w := readWorkload(t, "single")
	n := newNode(t, w)
	n.mount()

	p := n.start("notes-0")
	p.probe(w, http.StatusServiceUnavailable, "the store cannot be reached", "is the volume mounted?")
	n.initialize()
	p.probe(w, http.StatusOK)
	p.write("monday", "water the plants")
	p.end(syscall.SIGKILL)

	// Each restart finds the volume as fsGroup leaves it: open to the group.
	restart := func() *pod {
		t.Helper()
		must(t, filepath.WalkDir(n.path("/data"), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			mode := info.Mode() | 0o060
			if info.IsDir() {
				mode |= 0o070 | fs.ModeSetgid
			}
			return os.Chmod(path, mode)
		}))
		return n.start("notes-0")
	}
	reads := func(p *pod) {
		t.Helper()
		p.probe(w, http.StatusOK)
		if code, text := p.get("/notes/monday"); code != http.StatusOK || text != "water the plants" {
			t.Errorf("the note reads %d %q", code, text)
		}
	}
	p = restart()
	reads(p)
	p.fits(t, w)
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Errorf("the pod does not end in peace: %v", err)
	}
	if !strings.Contains(p.log.String(), "open to its group") || strings.Contains(p.log.String(), "level=ERROR") {
		t.Errorf("the log of a pod whose volume is open to its group:\n%s", p.log)
	}

	// The KMS is away: the pod is alive for as long as that takes.
	n.clouds.Wire.Unplug()
	p = restart()
	p.probe(w, http.StatusServiceUnavailable, "the KMS cannot be reached", "try again later")
	must(t, n.clouds.Wire.Plug())
	reads(p)
	p.end(syscall.SIGKILL)

	// The secret was replaced in the cloud, and later in the cluster: the pod
	// that waits for it is not restarted.
	n.clouds.Azure.SetSecret("a new secret")
	n.clouds.Azure.Revoke()
	p = restart()
	p.probe(w, http.StatusServiceUnavailable, "the KMS does not know this server", "renew the credentials")
	w.secrets["notes-seal"]["client-secret"] = "a new secret"
	n.project("notes-seal")
	reads(p)
	p.end(syscall.SIGKILL)

	// The volume is not mounted: its mount point is there, and no new store.
	must(t, os.Rename(n.path("/data"), n.path("/elsewhere")))
	n.mount()
	p = n.start("notes-0")
	p.probe(w, http.StatusServiceUnavailable, "the store cannot be reached", "is the volume mounted?")
	must(t, os.Remove(n.path("/data")))
	must(t, os.Rename(n.path("/elsewhere"), n.path("/data")))
	reads(p)
	p.end(syscall.SIGKILL)
	if bytes.Contains(p.log.Bytes(), []byte("a new secret")) {
		t.Error("the log shows the secret")
	}
}

// With Azure workload identity there is no secret: the cluster mounts a token,
// and replaces it before it expires.
func TestWorkloadIdentity(t *testing.T) {
	w := readWorkload(t, "single")
	for _, o := range read(t, "identity/azure") {
		if o.Kind == "Secret" {
			w.secrets[o.Metadata.Name] = map[string]string{"seal.hcl": o.StringData["seal.hcl"]}
		}
	}
	// What the cluster's webhook adds to a pod of that label.
	token := volume{Name: "azure-identity-token"}
	token.Secret.SecretName, token.Secret.DefaultMode = token.Name, 0o440
	w.Volumes = append(w.Volumes, token)
	w.VolumeMounts = append(w.VolumeMounts, mount{Name: token.Name, MountPath: "/var/run/secrets/azure/tokens"})
	present := func(text string) { w.secrets[token.Name] = map[string]string{"azure-identity-token": text} }
	present("the first token")

	n := newNode(t, w)
	n.clouds.Azure.SetFederated("the first token")
	n.mount()
	n.initialize()
	p := n.start("notes-0")
	p.probe(w, http.StatusOK)
	p.write("monday", "water the plants")
	p.end(syscall.SIGKILL)

	n.clouds.Azure.SetFederated("the second token")
	n.clouds.Azure.Revoke()
	p = n.start("notes-0")
	p.probe(w, http.StatusServiceUnavailable, "the KMS does not know this server")
	present("the second token")
	n.project(token.Name)
	p.probe(w, http.StatusOK)
	if code, text := p.get("/notes/monday"); code != http.StatusOK || text != "water the plants" {
		t.Errorf("the note reads %d %q", code, text)
	}
}

// The program needs no file of the image's but itself.
func TestStatic(t *testing.T) {
	testlevel.NeedsWhole(t, "builds a program of Linux")
	if runtime.GOOS != "linux" {
		t.Skip("builds a program of Linux")
	}
	path, err := program()
	must(t, err)
	info, err := buildinfo.ReadFile(path)
	must(t, err)
	if !slices.Contains(info.Settings, debug.BuildSetting{Key: "CGO_ENABLED", Value: "0"}) {
		t.Skip("built with cgo, for which there is a C compiler here; the image's is not: CGO_ENABLED=0")
	}
	f, err := elf.Open(path)
	must(t, err)
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program needs a dynamic linker")
		}
	}
}
