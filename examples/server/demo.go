package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
)

// A demo runs servers over one directory, and speaks to them as the command
// lines do.
type demo struct {
	dir    string
	clouds *fakeclouds.Clouds
	url    string
	token  string
	shares []string
	stop   func() error
}

// runDemo is the life of a server: made, used, moved from people's shares to
// Azure Key Vault and back, and opened by people while Azure is gone. Azure is a
// fake in this process, which Microsoft's own client speaks to. It ends well only
// if every step verified itself.
func runDemo(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "sealwright-server-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	clouds, err := fakeclouds.Start(dir)
	if err != nil {
		return err
	}
	defer clouds.Close()
	d := &demo{dir: dir, clouds: clouds}
	enabled, disabled := clouds.AzureStanza(), clouds.AzureStanza(`disabled = "true"`)
	for _, step := range []struct {
		says  string
		seals string // the stanzas of the configuration
		gone  bool   // whether Azure cannot be reached
		do    func() error
	}{
		{"bao operator init, and three shares unseal; bao kv put secret/hello greeting=world", "", false, d.begin},
		{"a stanza seal \"azurekeyvault\" is added, and three shares given to bao operator unseal -migrate", enabled, false, d.migrate},
		{"after a restart Azure opens it, and nobody is called", enabled, false, d.comeUp},
		{"Azure cannot be reached: three of the old shares open it", enabled, true, d.recover},
		{"the stanza is disabled, and the shares move it back to people", disabled, false, d.moveBack},
		{"after a restart it is people who open it", "", true, d.unseal},
	} {
		fmt.Fprintln(out, "-", step.says)
		if step.gone {
			clouds.Wire.Unplug()
		} else if err := clouds.Wire.Plug(); err != nil {
			return err
		}
		if err := d.start(ctx, step.seals); err != nil {
			return err
		}
		err := step.do()
		if err == nil {
			err = d.reads("world")
		}
		if stopErr := d.stop(); err == nil {
			err = stopErr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.says, err)
		}
	}
	fmt.Fprintln(out, "\nEvery step verified itself: nothing was lost.")
	return nil
}

// start runs a server with these stanzas until d.stop.
func (d *demo) start(ctx context.Context, seals string) error {
	src := fmt.Sprintf("%sstorage \"file\" { path = %q }\nlistener \"tcp\" { tls_disable = true }\n", seals, filepath.ToSlash(d.dir))
	providers, err := fakeclouds.Providers(d.clouds.File)
	if err != nil {
		return err
	}
	cfg, err := parseConfig([]byte(src), "demo.hcl", providers)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- serve(ctx, cfg, l, slog.New(slog.DiscardHandler)) }()
	d.url = "http://" + l.Addr().String() + "/v1/"
	d.stop = func() error {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		return <-done
	}
	return nil
}

// send is one request, whose answer it decodes into out.
func (d *demo) send(method, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, d.url+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("X-Vault-Token", d.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(text)))
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// give sends three shares to unseal, and checks what the last answer says.
func (d *demo) give(migrate bool, wantType string) error {
	var status struct {
		Sealed, Migration bool
		Type              string
	}
	for _, share := range d.shares[:3] {
		if err := d.send("PUT", "sys/unseal", map[string]any{"key": share, "migrate": migrate}, &status); err != nil {
			return err
		}
	}
	if status.Sealed || status.Migration || status.Type != wantType {
		return fmt.Errorf("the last share left it at %+v", status)
	}
	return nil
}

func (d *demo) begin() error {
	var made struct {
		Keys  []string
		Token string `json:"root_token"`
	}
	if err := d.send("PUT", "sys/init", map[string]int{"secret_shares": 5, "secret_threshold": 3}, &made); err != nil {
		return err
	}
	d.shares, d.token = made.Keys, made.Token
	if err := d.unseal(); err != nil {
		return err
	}
	var written any
	return d.send("PUT", "secret/data/hello", map[string]any{"data": map[string]string{"greeting": "world"}}, &written)
}

func (d *demo) unseal() error  { return d.give(false, "shamir") }
func (d *demo) recover() error { return d.give(false, "azurekeyvault") }
func (d *demo) migrate() error { return d.give(true, "azurekeyvault") }

func (d *demo) moveBack() error {
	if err := d.comeUp(); err != nil {
		return err
	}
	return d.give(true, "shamir")
}

// comeUp waits until the server has unsealed by itself.
func (d *demo) comeUp() (err error) {
	var health any
	for range 500 {
		if err = d.send("GET", "sys/health", nil, &health); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

func (d *demo) reads(want string) error {
	var got struct {
		Data struct {
			Data map[string]string
		}
	}
	if err := d.send("GET", "secret/data/hello", nil, &got); err != nil {
		return err
	}
	if got.Data.Data["greeting"] != want {
		return fmt.Errorf("secret/hello reads %q", got.Data.Data["greeting"])
	}
	return nil
}
