package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/seal"
)

// A demo is a company: its unsealer, and what its people hold.
type demo struct {
	dir      string
	url      string
	stop     func() error
	shares   []string
	operator string
	vaultA   string
	blob     string // what vault-a keeps of its root key, as transit wrapped it
	other    seal.Store
}

const rootKey = "WyJ0aGUgcm9vdCBrZXkgb2YgYSBWYXVsdCJd"

func runDemo(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "unsealer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &demo{dir: dir, other: seal.NewMemStore()}
	defer func() {
		if d.stop != nil {
			d.stop()
		}
	}()
	for _, step := range []struct {
		says string
		do   func(context.Context) error
	}{
		{"tokens are made: the operators', and one for each of two Vaults", d.makeTokens},
		{"the unsealer starts; five people get shares, and three of them unseal it", d.begin},
		{"vault-a starts: it renews its token, which is refused and taken for good, and encrypts; it keeps its root key wrapped", d.vaultStarts},
		{"vault-a restarts at night: one decrypt, and nobody is called", d.vaultUnseals},
		{"a Sealwright server is made with a slot of kms/transit, and comes up by it", d.sealwright},
		{"the operators rotate vault-a's key; what was wrapped before still opens", d.rotate},
		{"vault-b's token, and the operators', open nothing of vault-a's, and no key leaves", d.strangers},
		{"the unsealer restarts: it is sealed, and who starts meanwhile waits; three other people give their shares", d.restart},
		{"vault-a's line is taken out of clients: its token opens nothing any more", d.revoke},
	} {
		fmt.Fprintln(out, "-", step.says)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.says, err)
		}
	}
	fmt.Fprintln(out, "Every step verified itself.")
	return nil
}

func (d *demo) makeTokens(context.Context) (err error) {
	for name, into := range map[string]*string{operators: &d.operator, "vault-a": &d.vaultA, "vault-b": new(string), "inventory": new(string)} {
		if *into, err = (clients{d.dir}).add(name); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(d.dir, name+".token"), []byte(*into), 0o600); err != nil {
			return err
		}
	}
	if _, err := (clients{d.dir}).add("vault-a"); err == nil {
		return errors.New("a client has two tokens")
	}
	return nil
}

// start starts the unsealer.
func (d *demo) start(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, d.dir, l, "", "", slog.New(slog.DiscardHandler)) }()
	d.stop = func() error {
		cancel()
		d.stop = nil
		return <-ended
	}
	return nil
}

// ask makes a request, whose answer must have the code.
func (d *demo) ask(ctx context.Context, code int, method, path, token string, body any, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, d.url+"/v1/"+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("X-Vault-Token", token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != code {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(text)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

func (d *demo) unseal(ctx context.Context, shares []string) error {
	var status struct{ Sealed bool }
	for _, share := range shares {
		if err := d.ask(ctx, 200, "PUT", "sys/unseal", "", map[string]string{"key": share}, &status); err != nil {
			return err
		}
	}
	if status.Sealed {
		return errors.New("it is sealed still")
	}
	return nil
}

func (d *demo) begin(ctx context.Context) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	var made struct{ Keys []string }
	if err := d.ask(ctx, 200, "PUT", "sys/init", "", map[string]int{"secret_shares": 5, "secret_threshold": 3}, &made); err != nil {
		return err
	}
	d.shares = made.Keys
	return d.unseal(ctx, d.shares[:3])
}

func (d *demo) vaultStarts(ctx context.Context) error {
	var answer struct {
		Data struct{ Ciphertext string }
	}
	err := errors.Join(
		d.ask(ctx, 400, "PUT", "auth/token/renew-self", d.vaultA, map[string]int{"increment": 0}, nil),
		d.ask(ctx, 200, "PUT", "transit/encrypt/vault-a", d.vaultA, map[string]string{"plaintext": "YQ=="}, nil),
		d.ask(ctx, 200, "PUT", "transit/encrypt/vault-a", d.vaultA, map[string]string{"plaintext": rootKey}, &answer),
	)
	d.blob = answer.Data.Ciphertext
	return err
}

func (d *demo) vaultUnseals(ctx context.Context) error {
	var answer struct {
		Data struct{ Plaintext string }
	}
	err := d.ask(ctx, 200, "PUT", "transit/decrypt/vault-a", d.vaultA, map[string]string{"ciphertext": d.blob}, &answer)
	if err == nil && answer.Data.Plaintext != rootKey {
		err = errors.New("another root key comes back")
	}
	return err
}

// open is a start of the Sealwright server.
func (d *demo) open() (*seal.Barrier, error) {
	w, err := transit.New(transit.Config{Address: d.url, TokenFile: filepath.Join(d.dir, "inventory.token"), KeyName: "inventory"})
	if err != nil {
		return nil, err
	}
	return seal.Open(seal.Config{Store: d.other, KMS: map[string]kms.Wrapper{"unsealer": w}, Retry: kms.Policy{Attempts: 1}})
}

func (d *demo) sealwright(ctx context.Context) error {
	b, err := d.open()
	if err != nil {
		return err
	}
	defer b.Close()
	if _, err := b.Init(ctx, map[string]seal.Spec{"unsealer": seal.KMS{Wrapper: "unsealer"}}, seal.By{}); err != nil {
		return err
	}
	return d.comesUp(ctx)
}

func (d *demo) comesUp(ctx context.Context) error {
	b, err := d.open()
	if err != nil {
		return err
	}
	defer b.Close()
	return b.Unseal(ctx)
}

func (d *demo) rotate(ctx context.Context) error {
	return errors.Join(
		d.ask(ctx, 200, "PUT", "transit/keys/vault-a/rotate", d.operator, nil, nil),
		d.vaultUnseals(ctx), d.vaultStarts(ctx), d.vaultUnseals(ctx), d.comesUp(ctx),
	)
}

func (d *demo) strangers(ctx context.Context) error {
	other, err := os.ReadFile(filepath.Join(d.dir, "vault-b.token"))
	if err != nil {
		return err
	}
	for _, token := range []string{string(other), d.operator, "s.guessed", ""} {
		err = errors.Join(err, d.ask(ctx, 403, "PUT", "transit/decrypt/vault-a", token, map[string]string{"ciphertext": d.blob}, nil))
	}
	for _, token := range []string{d.vaultA, d.operator} {
		err = errors.Join(err,
			d.ask(ctx, 403, "GET", "transit/export/encryption-key/vault-a", token, nil, nil),
			d.ask(ctx, 403, "GET", "transit/backup/vault-a", token, nil, nil),
			d.ask(ctx, 403, "PUT", "transit/keys/another", token, nil, nil),
			d.ask(ctx, 403, "PUT", "transit/encrypt/another", token, map[string]string{"plaintext": ""}, nil))
	}
	return errors.Join(err, d.ask(ctx, 403, "PUT", "sys/seal", d.vaultA, nil, nil))
}

func (d *demo) restart(ctx context.Context) error {
	if err := errors.Join(d.stop(), d.start(ctx)); err != nil {
		return err
	}
	if err := d.ask(ctx, 503, "PUT", "transit/decrypt/vault-a", d.vaultA, map[string]string{"ciphertext": d.blob}, nil); err != nil {
		return err
	}
	if err := d.comesUp(ctx); !errors.Is(err, kms.ErrUnavailable) {
		return fmt.Errorf("with a sealed unsealer: %v", err)
	}
	return errors.Join(d.unseal(ctx, d.shares[2:]), d.vaultUnseals(ctx), d.comesUp(ctx))
}

func (d *demo) revoke(ctx context.Context) error {
	path := clients{d.dir}.path()
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var kept []string
	for line := range strings.Lines(string(content)) {
		if !strings.HasPrefix(line, "vault-a ") {
			kept = append(kept, line)
		}
	}
	return errors.Join(
		os.WriteFile(path, []byte(strings.Join(kept, "")), 0o600),
		d.ask(ctx, 403, "PUT", "transit/decrypt/vault-a", d.vaultA, map[string]string{"ciphertext": d.blob}, nil),
		d.comesUp(ctx), // the others are as they were
	)
}
