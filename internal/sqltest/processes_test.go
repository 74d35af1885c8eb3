package sqltest

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// What a replica is told in its environment: the directory of the keys, and the
// database with its driver.
const (
	replicaDir    = "SEALWRIGHT_REPLICA_DIR"
	replicaDriver = "SEALWRIGHT_REPLICA_DRIVER"
	replicaDSN    = "SEALWRIGHT_REPLICA_DSN"
)

// dialects are what the drivers speak.
var dialects = map[string]sqlstore.Dialect{"sqlite": sqlstore.SQLite, "pgx": sqlstore.PostgreSQL, "mysql": sqlstore.MySQL}

// TestReplica is one of the processes of TestThreeProcesses, and nothing else.
func TestReplica(t *testing.T) {
	dir := os.Getenv(replicaDir)
	if dir == "" {
		t.Skip("a child of TestThreeProcesses")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	driver := os.Getenv(replicaDriver)
	db, err := sql.Open(driver, os.Getenv(replicaDSN))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store, err := sqlstore.Open(db, sqlstore.Config{Dialect: dialects[driver], Table: replicaTable, PollInterval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	wrappers := map[string]kms.Wrapper{}
	for _, name := range []string{"a", "b"} {
		if wrappers[name], err = localkms.New(localkms.Config{Path: filepath.Join(dir, name+".key")}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := seal.Open(seal.Config{Store: store, KMS: wrappers, Propagation: 300 * time.Millisecond, Spread: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	go b.Run(ctx)
	commands := bufio.NewScanner(os.Stdin)
	commands.Buffer(nil, 1<<20)
	for commands.Scan() {
		answer, err := obey(ctx, b, commands.Text())
		if err != nil {
			answer = "error: " + strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		fmt.Printf("> %s\n", answer)
	}
}

// obey does what the parent asks for.
func obey(ctx context.Context, b *seal.Barrier, line string) (string, error) {
	command, argument, _ := strings.Cut(line, " ")
	people := seal.Shamir{Shares: 3, Threshold: 2}
	var shares []seal.Share
	deliver := func(d seal.Delivery) error {
		for _, s := range d.Sets[0].Shares {
			kept, err := seal.ParseShare(s.Reveal())
			if err != nil {
				return err
			}
			shares = append(shares, kept)
		}
		return nil
	}
	switch command {
	case "init":
		_, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
		return "ok", err
	case "wait":
		return "ok", b.Wait(ctx)
	case "write":
		ct, err := b.Keyring().Encrypt(nil, []byte(argument), nil)
		return base64.StdEncoding.EncodeToString(ct), err
	case "read":
		ct, err := base64.StdEncoding.DecodeString(argument)
		if err != nil {
			return "", err
		}
		pt, err := b.Admin().Decrypt(ctx, nil, ct, nil)
		return string(pt), err
	case "rotate":
		return "ok", b.Rotate(ctx, seal.By{})
	case "rotate-root":
		return "ok", b.Admin().RotateRoot(ctx, seal.By{})
	case "rekey": // the people's slot: made at first, replaced later
		plan := migrate.Plan{Slots: map[string]seal.Spec{"people": people}}
		if argument == "again" {
			plan.Slots["people"] = seal.Shamir{Shares: 4, Threshold: 3}
		}
		r, err := migrate.Reconcile(ctx, b, plan, migrate.Options{Deliver: deliver})
		for _, s := range shares {
			if err == nil && r.Waiting != nil {
				_, err = b.Submit(ctx, s, seal.By{Operation: r.Operation})
				if r, e := migrate.Reconcile(ctx, b, plan, migrate.Options{}); e == nil && r.Done {
					return "ok", nil
				}
			}
		}
		return "not done", err
	case "migrate":
		plan := migrate.Plan{Slots: map[string]seal.Spec{"other": seal.KMS{Wrapper: "b"}}, Drop: []string{"auto"}}
		r, err := migrate.Reconcile(ctx, b, plan, migrate.Options{})
		return fmt.Sprint(r.Done), err
	case "slots":
		if err := b.Admin().Refresh(ctx); err != nil {
			return "", err
		}
		var out []string
		for _, s := range b.Status().Slots {
			out = append(out, fmt.Sprintf("%s=%s", s.Name, s.Spec))
		}
		return strings.Join(out, ","), nil
	}
	return "", fmt.Errorf("unknown command %q", command)
}

// A replica is a child process.
type replica struct {
	in  io.Writer
	out *bufio.Scanner
}

func (r *replica) ask(t *testing.T, command string) string {
	t.Helper()
	if _, err := fmt.Fprintln(r.in, command); err != nil {
		t.Fatal(err)
	}
	for r.out.Scan() {
		if answer, ok := strings.CutPrefix(r.out.Text(), "> "); ok {
			if strings.HasPrefix(answer, "error: ") {
				t.Fatalf("%.40s: %s", command, answer)
			}
			return answer
		}
	}
	t.Fatalf("%.40s: the process ended", command)
	return ""
}

const replicaTable = "replicated_records"

// TestThreeProcesses: three processes over one store. Each changes it in turn,
// and every one reads what any other writes, before and after.
func TestThreeProcesses(t *testing.T) {
	if os.Getenv(replicaDir) != "" {
		t.Skip("this is one of them")
	}
	databases := []struct {
		name, driver string
		dsn          func(t *testing.T) string // skips the test where there is none
	}{
		{"SQLite", "sqlite", func(t *testing.T) string {
			return sqliteDSN(filepath.Join(t.TempDir(), "app.db"), "busy_timeout(5000)")
		}},
		{"PostgreSQL", "pgx", newPostgresDSN},
		{"MariaDB", "mysql", newMariaDBDSN},
	}
	var names []string
	steps, values, reads := 0, 0, 0
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			s, v, r := threeProcesses(t, d.driver, d.dsn(t))
			names, steps, values, reads = append(names, d.name), steps+s, values+v, reads+r
		})
	}
	if t.Failed() {
		return
	}
	t.Logf("GUARANTEE 9 three-processes: steps=%d values=%d reads=%d unread=0 stores=%s", steps, values, reads, strings.Join(names, ","))
}

func threeProcesses(t *testing.T, driver, dsn string) (steps, values, reads int) {
	dir := t.TempDir()
	for _, name := range []string{"a.key", "b.key"} {
		must(t, localkms.Create(t.Context(), filepath.Join(dir, name)))
	}
	db, err := sql.Open(driver, dsn)
	must(t, err)
	defer db.Close()
	must(t, openStore(t, db, sqlstore.Config{Dialect: dialects[driver], Table: replicaTable}).CreateTable(t.Context()))
	var replicas []*replica
	for range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReplica$")
		child.Env = append(os.Environ(), replicaDir+"="+dir, replicaDriver+"="+driver, replicaDSN+"="+dsn)
		child.Stderr = os.Stderr
		in, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); child.Wait() })
		r := &replica{in, bufio.NewScanner(out)}
		r.out.Buffer(nil, 1<<20)
		replicas = append(replicas, r)
	}
	replicas[0].ask(t, "init")
	written := map[string]string{}
	everybody := func(step string) {
		for i, r := range replicas {
			text := fmt.Sprintf("%s by %d", strings.ReplaceAll(step, " ", "-"), i)
			written[text] = r.ask(t, "write "+text)
		}
		for i, r := range replicas {
			for text, ct := range written {
				if got := r.ask(t, "read "+ct); got != text {
					t.Fatalf("after %s, replica %d reads %q as %q", step, i, text, got)
				}
				reads++
			}
		}
	}
	for _, r := range replicas {
		r.ask(t, "wait")
	}
	everybody("init")
	changes := []string{"rotate", "rotate-root", "rekey", "rotate", "rekey again", "migrate", "rotate"}
	for i, step := range changes {
		replicas[i%3].ask(t, step)
		everybody(step)
		time.Sleep(400 * time.Millisecond) // for the new term to become active
		everybody(step + " later")
	}
	want := replicas[0].ask(t, "slots")
	for i, r := range replicas {
		if got := r.ask(t, "slots"); got != want || !strings.Contains(got, "other=KMS b") || strings.Contains(got, "auto") || !strings.Contains(got, "3 of 4 people") {
			t.Errorf("replica %d sees %s, the first %s", i, got, want)
		}
	}
	return len(changes), len(written), reads
}
