package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
)

const (
	name = "monday"
	text = "water the plants"
)

// A story is what -demo plays: this process is the clouds, and the server is a
// child that is killed again and again.
type story struct {
	dir    string
	clouds *fakeclouds.Clouds
	server *server // nil: none runs
}

func tell(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "sealwright-autounseal-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	clouds, err := fakeclouds.Start(dir)
	if err != nil {
		return err
	}
	defer clouds.Close()
	s := &story{dir: dir, clouds: clouds}
	defer func() { err = errors.Join(err, s.kill()) }()
	for i, chapter := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"A server starts for the first time, and a note is written", s.first},
		{"The server is killed with kill -9, and started again. Nobody is called", s.again},
		{"The client secret is wrong", s.wrongSecret},
		{"The vault's name is wrong", s.wrongVault},
		{"The key is disabled", s.disabled},
		{"There is no network", s.noNetwork},
	} {
		fmt.Printf("\n%d. %s\n", i+1, chapter.title)
		if err := chapter.play(ctx); err != nil {
			return err
		}
	}
	fmt.Println("\nEvery step verified itself.")
	return nil
}

func say(format string, args ...any) { fmt.Printf("   "+format+"\n", args...) }

// restart kills the server that runs, and starts one with a configuration.
func (s *story) restart(ctx context.Context, config string) error {
	if err := s.kill(); err != nil {
		return err
	}
	if err := os.WriteFile(s.config(), []byte(config), 0o600); err != nil {
		return err
	}
	var err error
	s.server, err = start(ctx, s.args()...)
	return err
}

func (s *story) config() string { return filepath.Join(s.dir, "seal.hcl") }

func (s *story) args() []string {
	return []string{"-config", s.config(), "-dir", s.dir, "-fakes", s.clouds.File}
}

func (s *story) kill() error {
	if s.server == nil {
		return nil
	}
	killed := s.server
	s.server = nil
	return killed.kill()
}

// reads checks that the server unseals by itself, and that the note reads.
func (s *story) reads(ctx context.Context) error {
	if _, err := s.server.expect(ctx, "/readyz", http.StatusOK); err != nil {
		return err
	}
	code, body, err := s.server.do(ctx, http.MethodGet, "/notes/"+name, "")
	if err == nil && (code != http.StatusOK || body != text) {
		err = fmt.Errorf("the note reads %d %q", code, body)
	}
	if err != nil {
		return err
	}
	say("unsealed by itself; the note reads: %s", body)
	return nil
}

// sealed checks that the server is up, refuses notes, and says why in words.
func (s *story) sealed(ctx context.Context, kind string, words ...string) error {
	if code, _, err := s.server.do(ctx, http.MethodGet, "/livez", ""); err != nil || code != http.StatusOK {
		return fmt.Errorf("/livez: %d %v", code, err)
	}
	if _, err := s.server.expect(ctx, "/readyz", http.StatusServiceUnavailable, kind); err != nil {
		return err
	}
	reason, err := s.server.expect(ctx, "/reason", http.StatusServiceUnavailable, words...)
	if err != nil {
		return err
	}
	code, body, err := s.server.do(ctx, http.MethodGet, "/metrics", "")
	if err != nil || code != http.StatusOK || !strings.Contains(body, "sealwright_sealed 1\n") {
		return fmt.Errorf("/metrics: %d %q %v", code, body, err)
	}
	code, body, err = s.server.do(ctx, http.MethodGet, "/notes/"+name, "")
	if err != nil || code != http.StatusServiceUnavailable || strings.Contains(body, text) {
		return fmt.Errorf("a sealed server answers %d %q %v", code, body, err)
	}
	say("it is up and sealed.  To the public:  %s", kind)
	for line := range strings.Lines(reason) {
		say("to operators:  %s", strings.TrimSpace(line))
	}
	return nil
}

func (s *story) first(ctx context.Context) error {
	config := s.clouds.AzureStanza()
	fmt.Printf("\n%s\n", config)
	if err := s.restart(ctx, config); err != nil {
		return err
	}
	if err := s.sealed(ctx, "not initialized"); err != nil {
		return err
	}
	out, err := once(ctx, append(s.args(), "-init")...)
	if err != nil {
		return err
	}
	say("a second process, with -init: %s", out)
	if _, err := s.server.expect(ctx, "/readyz", http.StatusOK); err != nil {
		return err
	}
	code, body, err := s.server.do(ctx, http.MethodPut, "/notes/"+name, text)
	if err != nil || code != http.StatusNoContent {
		return fmt.Errorf("the note was not written: %d %s %v", code, body, err)
	}
	say("the server that runs unseals by itself, and the note is written")
	return s.reads(ctx)
}

func (s *story) again(ctx context.Context) error {
	if err := s.kill(); err != nil {
		return err
	}
	for _, file := range []string{"notes.json", "record.json"} {
		b, err := os.ReadFile(filepath.Join(s.dir, file))
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte(text)) {
			return fmt.Errorf("%s holds the note in the clear", file)
		}
		say("on disk: %s, %d bytes, and the note is not to be seen in it", file, len(b))
	}
	if err := s.restart(ctx, s.clouds.AzureStanza()); err != nil {
		return err
	}
	return s.reads(ctx)
}

func (s *story) wrongSecret(ctx context.Context) error {
	file := filepath.Join(s.dir, "azure-secret")
	right, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte("yesterday's secret"), 0o600); err != nil {
		return err
	}
	if err := s.restart(ctx, s.clouds.AzureStanza()); err != nil {
		return err
	}
	if err := s.sealed(ctx, "the KMS does not know this server", "renew the credentials", "AADSTS7000215"); err != nil {
		return err
	}
	if err := os.WriteFile(file, right, 0o600); err != nil {
		return err
	}
	say("The file with the secret is put right; nothing is restarted.")
	return s.reads(ctx)
}

func (s *story) wrongVault(ctx context.Context) error {
	wrong := strings.Replace(s.clouds.AzureStanza(), `"sealwright"`, `"sealwrigth"`, 1)
	if err := s.restart(ctx, wrong); err != nil {
		return err
	}
	if err := s.sealed(ctx, "the KMS key is another one", "configure the key that the blob names", "sealwrigth.vault.azure.net", "sealwright.vault.azure.net"); err != nil {
		return err
	}
	if err := s.restart(ctx, s.clouds.AzureStanza()); err != nil {
		return err
	}
	return s.reads(ctx)
}

func (s *story) disabled(ctx context.Context) error {
	s.clouds.Azure.Disable("unseal", "")
	if code, _, err := s.server.do(ctx, http.MethodGet, "/notes/"+name, ""); err != nil || code != http.StatusOK {
		return fmt.Errorf("the server that runs does not go on: %d %v", code, err)
	}
	say("The server that runs goes on: it needs no KMS. It is restarted all the same.")
	if err := s.restart(ctx, s.clouds.AzureStanza()); err != nil {
		return err
	}
	if err := s.sealed(ctx, "the KMS key is disabled", "enable it"); err != nil {
		return err
	}
	s.clouds.Azure.Enable("unseal", "")
	say("The key is enabled; nothing is restarted.")
	return s.reads(ctx)
}

func (s *story) noNetwork(ctx context.Context) error {
	s.clouds.Wire.Unplug()
	if err := s.restart(ctx, s.clouds.AzureStanza()); err != nil {
		return err
	}
	if err := s.sealed(ctx, "the KMS cannot be reached", "try again later", "refused"); err != nil {
		return err
	}
	if err := s.clouds.Wire.Plug(); err != nil {
		return err
	}
	say("The network is back; nothing is restarted.")
	return s.reads(ctx)
}
