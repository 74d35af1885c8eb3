package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sealwright "github.com/sealwright/sealwright/examples/sealwright"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/seal"
)

// program is what the tests run; binaries is where it is.
var program, binaries string

const programName = "sealwright"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == programName {
		sealwright.Main() // it ends the process
	}
	env := environment()
	os.Clearenv()
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		os.Setenv(name, value) // what runs in this process reads it too
	}
	var err error
	if binaries, err = os.MkdirTemp("", programName); err != nil {
		panic(err)
	}
	if err = makeProgram(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.RemoveAll(binaries)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(binaries)
	os.Exit(code)
}

// makeProgram gives the program of the tests its name, by which it is the program: it
// holds all of it, and another takes seconds to link, for the SDKs alone.
func makeProgram() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program = filepath.Join(binaries, programName)
	return os.Symlink(self, program)
}

// build makes a program, or takes it from Go's cache, which has those of go run alone.
func build(name, dir, pkg string) (string, error) {
	path := filepath.Join(binaries, name)
	cmd := exec.Command("go", "run", "-buildvcs=false", "-exec=cp", pkg, path)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return path, nil
}

// Programs that some tests need are made once, when the first one does.
var (
	builtAge    = sync.OnceValues(func() (string, error) { return build("age", ".", "filippo.io/age/cmd/age") })
	builtServer = sync.OnceValues(func() (string, error) { return build("server", "..", "./server") })
)

// ageProgram is the age that this module is built with.
func ageProgram(t *testing.T) string {
	t.Helper()
	path, err := builtAge()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A ran is what a run of the program came to.
type ran struct {
	code     int
	out, err string
}

// run runs the program without a terminal, in this process: one of its own takes a
// tenth of a second for the SDKs alone. Those on a terminal, of the documentation, and
// of command have one.
func run(t *testing.T, input string, args ...string) ran {
	t.Helper()
	in, give, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	given := make(chan struct{})
	go func() {
		defer close(given)
		_, _ = io.WriteString(give, input) // the program need not read it
		give.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code := sealwright.Run(ctx, args, environment(), in, &out, &errs)
	in.Close()
	<-given
	r := ran{code, out.String(), errs.String()}
	sawOutput(t, r)
	return r
}

// command is the program in a process of its own, for finish.
func command(t *testing.T, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = environment()
	return cmd
}

func finish(t *testing.T, cmd *exec.Cmd) ran {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	detach(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := ran{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	if strings.Contains(r.err, "panic:") || strings.Contains(r.err, "goroutine 1") {
		t.Errorf("it panics: %s", r.err)
	}
	sawOutput(t, r)
	return r
}

// environment is that of the tests without what the program reads.
func environment() []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SEALWRIGHT_") && !strings.HasPrefix(v, "VAULT_") && !strings.HasPrefix(v, "BAO_") {
			out = append(out, v)
		}
	}
	return append(out, "NO_PROXY=*")
}

// want fails where a run has another code, or lacks words.
func (r ran) want(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("code %d, want %d", r.code, code)
	}
	for _, w := range words {
		if !strings.Contains(r.out+r.err, w) {
			t.Errorf("it does not say %q", w)
		}
	}
	if t.Failed() {
		t.Fatalf("out: %s\nerr: %s", r.out, r.err)
	}
}

func (r ran) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.out), v); err != nil {
		t.Fatalf("%v: %s", err, r.out)
	}
}

// A world is a store with people and a KMS, and what their custodians hold.
type world struct {
	dir    string
	store  seal.Store
	shares []string // of slot "people", 2 of 3
	config string   // names the key of slot "auto"
}

// newWorld makes a store: people hold it, and with a KMS a key in a file beside
// them. Fill is called with the open Barrier.
func newWorld(t *testing.T, store seal.Store, withKMS bool, fill func(*seal.Barrier)) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), store: store}
	cfg := seal.Config{Store: store, Drill: -1}
	slots := map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2, Custodians: []seal.Custodian{{Name: "alice"}, {Name: "bob"}, {Name: "carol"}}}}
	if withKMS {
		key := filepath.Join(w.dir, "kms.key")
		if err := localkms.Create(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		kms, err := localkms.New(localkms.Config{Path: key})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			w.config = w.write(t, "server.hcl", fmt.Sprintf("seal \"localkms\" {\n  name = \"auto\"\n  path = %q\n}\n", key))
		}()
		cfg.KMS = map[string]kmsWrapper{"auto": kms}
		slots["auto"] = seal.KMS{Wrapper: "auto"}
	}
	b, err := seal.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	d, err := b.Init(t.Context(), slots, seal.By{Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Sets[0].Shares {
		w.shares = append(w.shares, s.Reveal())
		secretOf(t, s.Reveal())
	}
	for _, s := range d.Sets[0].Shares[:2] {
		if _, err := b.Submit(t.Context(), s, seal.By{}); err != nil && withKMS == false {
			t.Fatal(err)
		}
	}
	if err := b.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if fill != nil {
		fill(b)
	}
	return w
}

func (w *world) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
