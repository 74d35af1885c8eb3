//go:build unix

package etcd_test

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/sealwright/sealwright/seal"
)

// What etcdctl prints of the key, and is given back, is the record, as the page of
// etcdstore says.
func TestAValueThatEtcdctlPutBack(t *testing.T) {
	if _, err := exec.LookPath("etcdctl"); err != nil {
		t.Skip("skipped: no etcdctl here")
	}
	c := cluster(t)
	key := newKey()
	store := open(t, connect(t, c.Endpoints()...), key)
	b, err := seal.Open(seal.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Init(t.Context(), map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	want, _, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	etcdctl := func(in []byte, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "etcdctl", append([]string{"--endpoints=" + c.Endpoints()[0]}, args...)...)
		cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
		cmd.Stdin = bytes.NewReader(in)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("etcdctl %s: %v: %s", args[0], err, out)
		}
		return out
	}
	printed := etcdctl(nil, "get", key, "--print-value-only")
	if !bytes.HasSuffix(printed, []byte("}\n\n")) {
		t.Errorf("etcdctl adds no line feed any more: %q", printed[len(printed)-8:])
	}
	etcdctl(nil, "del", key)
	etcdctl(printed, "put", key)
	if got, _, err := store.Load(t.Context()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("Load = %d bytes, %v; want the record of %d", len(got), err, len(want))
	}
}
