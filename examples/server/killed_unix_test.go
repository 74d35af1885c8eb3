//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms/kmstest"
)

const childEnv = "SERVER_TEST_CHILD"

// TestChild is the server that other tests run as a process of its own.
func TestChild(t *testing.T) {
	config, fakes, ok := strings.Cut(os.Getenv(childEnv), "\n")
	if !ok {
		t.Skip("run by other tests")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := start(ctx, config, "", "", fakes, false); err != nil {
		t.Fatal(err)
	}
}

// A child is a life that is a process.
type child struct {
	*life
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	log strings.Builder
}

var servingAt = regexp.MustCompile(`msg=listening address=(\S+)`)

// spawn starts a server and waits until it serves.
func (w *world) spawn(t *testing.T, stanza string) *child {
	t.Helper()
	config := filepath.Join(w.dir, "server.hcl")
	src := fmt.Sprintf("%s\nstorage \"file\" { path = %q }\nlistener \"tcp\" {\n  address = \"127.0.0.1:0\"\n  tls_disable = true\n}\n", stanza, w.dir)
	if err := os.WriteFile(config, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &child{life: &life{world: w}, done: make(chan struct{})}
	c.alive, c.die = context.WithCancel(context.Background())
	c.cmd = exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.timeout=120s")
	c.cmd.Env = append(os.Environ(), childEnv+"="+config+"\n"+w.clouds.File)
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.kill() })
	serving := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			c.mu.Lock()
			c.log.WriteString(lines.Text() + "\n")
			c.mu.Unlock()
			if m := servingAt.FindStringSubmatch(lines.Text()); m != nil {
				serving <- m[1]
			}
		}
		c.cmd.Wait()
		c.die()
		close(c.done)
	}()
	select {
	case addr := <-serving:
		c.url = "http://" + addr
	case <-c.done:
		t.Fatalf("it ended at once:\n%s", c.said())
	}
	return c
}

func (c *child) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

// kill is SIGKILL.
func (c *child) kill() {
	c.cmd.Process.Kill()
	<-c.done
}

// stop is SIGTERM, on which the server seals.
func (c *child) stop(t *testing.T) {
	t.Helper()
	c.cmd.Process.Signal(syscall.SIGTERM)
	<-c.done
	if !c.cmd.ProcessState.Success() || !strings.Contains(c.said(), `msg="seal seal"`) || !strings.Contains(c.said(), "actor=shutdown") {
		t.Errorf("on SIGTERM it ended with %v:\n%s", c.cmd.ProcessState, c.said())
	}
}

// up waits until the server has unsealed by itself.
func (c *child) up() error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		code, _, err := c.send("GET", "sys/health", "", nil)
		if err != nil || code == 200 {
			return err
		}
	}
	return errors.New("it does not come up by itself")
}

// mended starts servers until the migration is done and proved.
func (w *world) mended(t *testing.T, d direction) error {
	t.Helper()
	c := w.spawn(t, d.stanza)
	if err := c.migrate(3); err != nil {
		return fmt.Errorf("stranded: %w", err)
	}
	c.stop(t)
	c = w.spawn(t, d.stanza)
	if d.auto {
		if err := c.up(); err != nil {
			return fmt.Errorf("stranded: %w", err)
		}
	} else if err := c.unseal(); err != nil {
		return fmt.Errorf("lost: %w", err)
	}
	if err := c.reads(); err != nil {
		return fmt.Errorf("lost: %w", err)
	}
	c.kill()
	w.clouds.Wire.Unplug()
	defer w.clouds.Wire.Plug()
	c = w.spawn(t, d.stanza)
	defer c.kill()
	if err := errors.Join(c.unseal(), c.reads()); err != nil {
		return fmt.Errorf("lost: %w", err)
	}
	return nil
}

// TestKilledBetweenShamirAndAzure is the scenario with true processes: each is
// killed while it migrates, at a call of Azure, after an answer, or at any
// moment; then a new one goes on.
func TestKilledBetweenShamirAndAzure(t *testing.T) {
	testlevel.NeedsWhole(t, "many processes")
	shamir, forward, back := azureWorld(t)
	azure := shamir.copyOf(t)
	if err := azure.mended(t, forward); err != nil {
		t.Fatal(err)
	}
	kills, wrong := 0, 0
	point := func(d direction, from *world, what string, during func(*child) error) {
		t.Helper()
		kills++
		w := from.copyOf(t)
		c := w.spawn(t, d.stanza)
		err := during(c)
		c.kill()
		w.clouds.Azure.Script(nil)
		if err != nil && !errors.Is(err, errKilled) {
			t.Fatalf("%s, %s: %v\n%s", d.name, what, err, c.said())
		}
		if err := w.mended(t, d); err != nil {
			wrong++
			t.Errorf("%s, %s: %v", d.name, what, err)
		}
	}
	for _, d := range []struct {
		direction
		from  *world
		calls int
	}{{forward, shamir, 3}, {back, azure, 1}} {
		for k := range d.calls {
			point(d.direction, d.from, fmt.Sprintf("at call %d of Azure", k+1), func(c *child) error {
				var n atomic.Int64
				d.from.clouds.Azure.Script(func(kmstest.Call) kmstest.Fault {
					if n.Add(1) == int64(k+1) {
						c.cmd.Process.Kill()
					}
					return kmstest.Fault{}
				})
				return c.migrate(1)
			})
		}
		for k := range 3 {
			point(d.direction, d.from, fmt.Sprintf("after share %d", k+1), func(c *child) error {
				for _, share := range d.from.shares[:k+1] {
					if _, _, err := c.send("PUT", "sys/unseal", "", object{"key": share, "migrate": true}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		for range 3 {
			point(d.direction, d.from, "at any moment", func(c *child) error {
				time.AfterFunc(rand.N(60*time.Millisecond), func() { c.cmd.Process.Kill() })
				return c.migrate(1)
			})
		}
	}
	t.Logf("GUARANTEE 1 server-killed-between-shamir-and-azure: kills=%d wrong=%d", kills, wrong)
}
