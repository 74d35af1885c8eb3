package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// A world is what outlives the servers over one store: the directory, Azure, and
// what people hold and were told.
type world struct {
	dir    string
	clouds *fakeclouds.Clouds
	shares []string
	token  string
	acked  map[string]string // secrets whose writing was acknowledged
}

// A life is one server process over a world's store, spoken to over HTTP.
type life struct {
	world *world
	s     *server
	store *storetest.Faulty
	web   *httptest.Server
	url   string
	alive context.Context
	die   context.CancelFunc
}

var (
	errNotDone = errors.New("it does not come to an end")
	errKilled  = errors.New("the process died")
)

// start begins a life. Nothing runs beside the requests, so that calls can be
// counted: what Run would do is done by unsealByKMS.
func (w *world) start(stanza string, arm func(*life)) (*life, error) {
	providers, err := fakeclouds.Providers(w.clouds.File)
	if err != nil {
		return nil, err
	}
	src := fmt.Sprintf("%s\nstorage \"file\" { path = %q }\nlistener \"tcp\" {\n tls_disable = true\n trust_loopback = true\n}\n", stanza, filepath.ToSlash(w.dir))
	cfg, err := parseConfig([]byte(src), "test.hcl", providers)
	if err != nil {
		return nil, err
	}
	l := &life{world: w, s: &server{db: &boltfile.File{Path: cfg.db}}}
	l.alive, l.die = context.WithCancel(context.Background())
	l.store = &storetest.Faulty{Inner: boltfile.Record{File: l.s.db}}
	patience := 10 * time.Second
	if arm != nil {
		arm(l)
		patience = time.Second // some faults are waited out
	}
	err = l.s.build(cfg, seal.Config{
		Store: mortal{l.store, l.die}, StoreTimeout: 2 * time.Second, Retry: kms.Policy{Attempts: 1, Timeout: patience},
	})
	if err != nil {
		return nil, err
	}
	l.web = httptest.NewServer(l.s)
	l.url = l.web.URL
	return l, nil
}

// kill is SIGKILL: nothing that the process does later reaches the store.
func (l *life) kill() {
	l.store.Crash()
	l.die()
}

// end ends a life that was killed or not. What still winds down in a killed one
// does so without the store.
func (l *life) end() {
	l.die()
	l.web.CloseClientConnections()
	go func() {
		l.web.Close()
		l.s.barrier.Close()
	}()
	l.s.db.Close()
}

// A mortal is a store whose crash is the process's death.
type mortal struct {
	*storetest.Faulty
	die context.CancelFunc
}

func (m mortal) Load(ctx context.Context) ([]byte, string, error) {
	rec, rev, err := m.Faulty.Load(ctx)
	if errors.Is(err, storetest.ErrCrashed) {
		m.die()
	}
	return rec, rev, err
}

func (m mortal) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	rev, err := m.Faulty.Swap(ctx, rec, old)
	if errors.Is(err, storetest.ErrCrashed) {
		m.die()
	}
	return rev, err
}

// send is one request; the error is errKilled if the process did not live to
// answer it.
func (l *life) send(method, path, token string, body any) (int, object, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequestWithContext(l.alive, method, l.url+"/v1/"+path, bytes.NewReader(b))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-Vault-Token", token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, errors.Join(errKilled, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || l.alive.Err() != nil {
		return 0, nil, errors.Join(errKilled, err)
	}
	var out object
	if len(text) > 0 {
		err = json.Unmarshal(text, &out)
	}
	return resp.StatusCode, out, err
}

func (l *life) put(name string) error {
	code, _, err := l.send("PUT", "secret/data/"+name, l.world.token, object{"data": object{"greeting": name}})
	if err == nil && code == 200 {
		l.world.acked[name] = name
	}
	return err
}

// reads reads every acknowledged secret.
func (l *life) reads() error {
	for name, want := range l.world.acked {
		code, out, err := l.send("GET", "secret/data/"+name, l.world.token, nil)
		if err != nil {
			return err
		}
		data, _ := out["data"].(object)
		inner, _ := data["data"].(object)
		if code != 200 || inner["greeting"] != want {
			return fmt.Errorf("secret/%s reads %d %v", name, code, out)
		}
	}
	return nil
}

// unseal gives three of the shares.
func (l *life) unseal() error {
	for _, share := range l.world.shares[2:] {
		code, out, err := l.send("PUT", "sys/unseal", "", object{"key": share})
		if err != nil {
			return err
		}
		if code != 200 {
			return fmt.Errorf("unseal: %d %v", code, out)
		}
		if out["sealed"] == false {
			return nil
		}
	}
	return errors.New("three shares do not unseal")
}

// unsealByKMS is a round of what Run repeats.
func (l *life) unsealByKMS() error {
	err := l.s.barrier.Unseal(l.alive)
	if l.alive.Err() != nil {
		return errKilled
	}
	return err
}

// migrate is the people who were asked to give three shares with -migrate: they
// go on until the answer says that it is done, which an operator who meets an
// error does too. No token is sent. Secrets are written meanwhile.
func (l *life) migrate(rounds int) error {
	for range rounds {
		for i, share := range l.world.shares[:3] {
			code, out, err := l.send("PUT", "sys/unseal", "", object{"key": share, "migrate": true})
			if err != nil {
				return err
			}
			if out["sealed"] == false {
				if err := l.put(fmt.Sprintf("during-%d-%d", len(l.world.acked), i)); err != nil {
					return err
				}
			}
			if code == 200 && out["sealed"] == false && out["migration"] == false {
				return nil
			}
		}
	}
	return errNotDone
}

// copyOf is the world as it is, in another directory.
func (w *world) copyOf(t *testing.T) *world {
	t.Helper()
	out := &world{dir: t.TempDir(), clouds: w.clouds, shares: w.shares, token: w.token, acked: map[string]string{}}
	for k, v := range w.acked {
		out.acked[k] = v
	}
	b, err := os.ReadFile(filepath.Join(w.dir, "sealwright.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out.dir, "sealwright.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// azureWorld returns a store that people hold, with a secret in it, and the two
// migrations.
func azureWorld(t *testing.T) (w *world, forward, back direction) {
	t.Helper()
	clouds, err := fakeclouds.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(clouds.Close)
	w = &world{dir: t.TempDir(), clouds: clouds, acked: map[string]string{}}
	l, err := w.start("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.end()
	code, made, err := l.send("PUT", "sys/init", "", object{"secret_shares": 5, "secret_threshold": 3})
	if err != nil || code != 200 {
		t.Fatal(code, made, err)
	}
	for _, share := range made["keys"].([]any) {
		w.shares = append(w.shares, share.(string))
	}
	w.token = made["root_token"].(string)
	if err := errors.Join(l.unseal(), l.put("hello"), l.reads()); err != nil || len(w.acked) != 1 {
		t.Fatal(err, w.acked)
	}
	return w, direction{"to Azure", clouds.AzureStanza(), true}, direction{"back to people", clouds.AzureStanza(`disabled = "true"`), false}
}
