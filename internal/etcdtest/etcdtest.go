//go:build unix

// Package etcdtest starts clusters of etcd for tests, where it is installed, in
// directories of their own and on loopback. The members talk to each other through
// this process, which can cut one off.
package etcdtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/freeport"
)

// ErrNoServer says why no cluster is run here.
var ErrNoServer = errors.New("no etcd in the PATH")

// A Cluster is a running cluster of etcd. Nobody needs a password.
type Cluster struct {
	dir     string
	members []*member
}

type member struct {
	name         string
	client, peer string // host and port that it listens on
	proxy        *proxy // that the others know it by
	args         []string
	id           string // as its requests to others say
	cmd          *exec.Cmd
	stop         io.WriteCloser // its end stops the member, also when this process is killed
}

// Start starts a cluster with the given number of members and more flags of etcd. It
// must be closed, and ends at the latest with this process.
func Start(members int, flags ...string) (*Cluster, error) {
	etcd, err := exec.LookPath("etcd")
	if err != nil {
		return nil, ErrNoServer
	}
	for tries := 1; ; tries++ {
		c, err := start(etcd, members, flags)
		if err == nil {
			return c, nil
		}
		if c != nil {
			c.Close()
		}
		// Others on this machine can have taken a port that was free a moment ago.
		if tries == 3 {
			return nil, err
		}
	}
}

// start returns what it started also with an error.
func start(etcd string, members int, flags []string) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "sealwright-etcd")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	var all []string
	for i := range members {
		m, err := newMember(i)
		if err != nil {
			return c, err
		}
		c.members = append(c.members, m)
		all = append(all, m.name+"=http://"+m.proxy.addr())
	}
	for _, m := range c.members {
		m.args = append([]string{etcd, "--name", m.name, "--data-dir", filepath.Join(dir, m.name),
			"--listen-client-urls", "http://" + m.client, "--advertise-client-urls", "http://" + m.client,
			"--listen-peer-urls", "http://" + m.peer, "--initial-advertise-peer-urls", "http://" + m.proxy.addr(),
			"--initial-cluster", strings.Join(all, ","), "--initial-cluster-token", filepath.Base(dir),
			"--heartbeat-interval", "50", "--election-timeout", "500", "--log-level", "error"}, flags...)
		if err := c.run(m); err != nil {
			return c, err
		}
	}
	for _, m := range c.members {
		if err := c.await(m); err != nil {
			return c, err
		}
	}
	return c, nil
}

func newMember(i int) (*member, error) {
	m := &member{name: "member" + strconv.Itoa(i)}
	for _, at := range []*string{&m.client, &m.peer} {
		var err error
		if *at, err = freeport.Address(); err != nil {
			return nil, err
		}
	}
	var err error
	m.proxy, err = newProxy(m.peer)
	return m, err
}

// Need returns a cluster until the test ends, or skips the test where etcd is not
// installed.
func Need(t testing.TB, members int, flags ...string) *Cluster {
	t.Helper()
	c, err := Start(members, flags...)
	if errors.Is(err, ErrNoServer) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Endpoints returns where the members take clients' requests, each by host and port.
func (c *Cluster) Endpoints() (all []string) {
	for _, m := range c.members {
		all = append(all, m.client)
	}
	return all
}

// Dir returns the directory of a member's data.
func (c *Cluster) Dir(i int) string { return filepath.Join(c.dir, c.members[i].name) }

// run starts a member. A shell stops it and cleans up when its input ends, which it
// does at the latest when this process does.
func (c *Cluster) run(m *member) (err error) {
	const keep = `trap : INT TERM HUP; dir=$1; shift; "$@" & server=$!; read word
kill -KILL $server; wait $server
[ "$word" = crash ] || rm -rf "$dir"`
	m.cmd = exec.Command("/bin/sh", append([]string{"-c", keep, "sh", c.dir}, m.args...)...)
	m.cmd.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH="+runtime.GOARCH)
	log, err := os.OpenFile(filepath.Join(c.dir, m.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	m.cmd.Stdout, m.cmd.Stderr = log, log
	if m.stop, err = m.cmd.StdinPipe(); err != nil {
		return err
	}
	return m.cmd.Start()
}

// await waits until a member knows a leader, or found its port taken.
func (c *Cluster) await(m *member) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		s, err := m.status(ctx)
		if err == nil && s.Leader != "" && s.Leader != "0" {
			id, err := strconv.ParseUint(s.Header.Member, 10, 64)
			m.id = strconv.FormatUint(id, 16)
			return err
		}
		log, _ := os.ReadFile(filepath.Join(c.dir, m.name+".log"))
		if bytes.Contains(log, []byte("address already in use")) {
			cancel()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %v\n%s", m.name, err, log)
		}
	}
}

type status struct {
	Header struct {
		Member string `json:"member_id"`
	} `json:"header"`
	Leader string `json:"leader"`
}

func (m *member) status(ctx context.Context) (s status, err error) {
	request, err := http.NewRequestWithContext(ctx, "POST", "http://"+m.client+"/v3/maintenance/status", bytes.NewReader([]byte("{}")))
	if err != nil {
		return s, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	return s, json.NewDecoder(answer.Body).Decode(&s)
}

// Leader waits until there is a leader that one of the members other than those knows,
// and is none of those, and returns which it is.
func (c *Cluster) Leader(ctx context.Context, without ...int) (int, error) {
	gone := map[int]bool{}
	for _, i := range without {
		gone[i] = true
	}
	for {
		for i, m := range c.members {
			if gone[i] {
				continue
			}
			one, cancel := context.WithTimeout(ctx, time.Second)
			s, err := m.status(one)
			cancel()
			if err == nil && s.Leader == s.Header.Member && s.Leader != "" {
				return i, nil
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return 0, fmt.Errorf("no leader: %w", context.Cause(ctx))
		}
	}
}

// Cut has a member and the others not hear of each other, or no longer so.
func (c *Cluster) Cut(i int, cut bool) {
	for j, m := range c.members {
		if j == i {
			m.proxy.cut("", cut)
		} else {
			m.proxy.cut(c.members[i].id, cut)
		}
	}
}

// Crash kills a member and leaves its files.
func (c *Cluster) Crash(i int) error {
	m := c.members[i]
	_, err := io.WriteString(m.stop, "crash\n")
	m.stop.Close()
	m.cmd.Wait()
	m.stop = nil
	return err
}

// Restart starts a member after a Crash, and waits until it knows a leader.
func (c *Cluster) Restart(i ...int) error {
	for _, i := range i {
		if err := c.run(c.members[i]); err != nil {
			return err
		}
	}
	for _, i := range i {
		if err := c.await(c.members[i]); err != nil {
			return err
		}
	}
	return nil
}

// Close stops the cluster and removes all it stored.
func (c *Cluster) Close() {
	for _, m := range c.members {
		if m.stop != nil {
			m.stop.Close()
			m.cmd.Wait()
		}
		m.proxy.close()
	}
	os.RemoveAll(c.dir)
}
