// Server is a small secret server with Vault's seal: the bao and vault command
// lines initialize, unseal, rekey and migrate it, and keep secrets in it.
//
//	go run ./examples/server -demo                             its life, in a few seconds
//	go run ./examples/server -config examples/server/dev.hcl   runs it
//
// With the server running, in another terminal:
//
//	export BAO_ADDR=http://127.0.0.1:8200          (or VAULT_ADDR)
//	bao operator init
//	bao operator unseal                            three times
//	bao login                                      with the root token
//	bao kv put secret/hello greeting=world
//
// The configuration is written as Vault's: storage "file" names a directory, in
// which one bbolt file keeps the record and the secrets, so that one backup is
// always consistent; listener "tcp" has address, tls_cert_file and
// tls_key_file, which are read again when they change, or tls_disable; with
// trust_loopback, whoever connects from this machine is told in full why the
// server is sealed, and can seal it anew to have it forget the shares given:
// never set it behind a proxy, for which everybody is on this machine. The seal
// stanzas are those of package sealconf and of the three clouds. To move from
// shares to a KMS, add its stanza, restart, and give the shares to bao operator
// unseal -migrate; to move back, set disabled = "true" in it. With -pgp-keys,
// init and rekey encrypt each share to its holder, whose key may be of OpenPGP, of
// age, or of SSH.
//
// At /ceremony/ is a page for the custodians themselves: it says why the server is
// sealed, takes and checks shares, and makes new ones that each holder alone sees, at
// init and at a rekey. Over TLS, or on this machine. A store that was made there has no
// root token yet: start once with -new-root-token.
//
// Where the answer of an init was lost, -new-root-token FILE, for one start,
// writes a root token to that file; bao operator rotate-keys -init
// -target=recovery then makes recovery shares that nobody has ever shown anew.
//
// With -journal FILE every attempt on the seal is a line of that file, which names
// the line before; the log has its head whenever the server starts and ends.
//
// It comes up whether or not it can reach its KMS and its file, and says what it
// waits for; on SIGTERM it seals.
//
// It has version 2 of the key-value engine at secret/, the transit engine at
// transit/, tokens that policies limit, and nothing else of Vault:
//
//	bao write -f transit/keys/orders
//	bao write transit/encrypt/orders plaintext=$(base64 <<<"a card's number")
//	bao policy write orders - <<<'path "transit/+/orders" { capabilities = ["update"] }'
//	bao token create -policy=orders
//
// What a token may do is a policy's, as Vault writes it; see examples/unsealer
// for a server that does nothing but unseal others.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
	"github.com/sealwright/sealwright/examples/internal/flags"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

func main() {
	file := flag.String("config", "", "the configuration `file`, in Vault's HCL")
	tokenFile := flag.String("new-root-token", "", "write a new root token to this `file`, which must not be there, once the server is unsealed: where the old one is lost")
	journal := flag.String("journal", "", "write every attempt on the seal to this `file`, in which what is changed later is noticed; see package seal/journal")
	demo := flag.Bool("demo", false, "go through a server's life in a temporary directory, and verify every step")
	flags.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, *file, *tokenFile, *journal, "", *demo); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// start runs what the flags say. Fakes is the file of fake clouds; "" for the
// true ones.
func start(ctx context.Context, file, tokenFile, auditFile, fakes string, demo bool) error {
	if demo == (file != "") || demo && tokenFile+auditFile != "" {
		return errors.New("say either -config FILE or -demo")
	}
	if demo {
		return runDemo(ctx, os.Stdout)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	providers, err := fakeclouds.Providers(fakes)
	if err != nil {
		return err
	}
	cfg, err := parseConfig(src, file, providers)
	if err != nil {
		return err
	}
	cfg.tokenFile, cfg.audit = tokenFile, auditFile
	l, err := net.Listen("tcp", cfg.address)
	if err != nil {
		return err
	}
	return serve(ctx, cfg, l, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// serve runs a server on a listener until ctx ends. Then it seals.
func serve(ctx context.Context, cfg *config, l net.Listener, log *slog.Logger) error {
	defer l.Close()
	web := &http.Server{ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	if cfg.cert != "" {
		cert, err := loadCertificate(cfg.cert, cfg.key, log)
		if err != nil {
			return err
		}
		web.TLSConfig = &tls.Config{GetCertificate: cert.get, MinVersion: tls.VersionTLS12}
	}
	s, err := newServer(cfg, log)
	if err != nil {
		return err
	}
	defer s.close()
	web.Handler = s
	beside := append(slices.Clone(cfg.seals.Run), s.barrier.Run, func(ctx context.Context) error {
		return s.barrier.While(ctx, func(ctx context.Context) error { return s.rotateDue(ctx, log) })
	})
	if cfg.tokenFile != "" {
		beside = append(beside, func(ctx context.Context) error {
			if err := s.writeToken(ctx, cfg.tokenFile); err != nil {
				return fmt.Errorf("no new root token was written: %w", err)
			}
			return nil
		})
	}
	if s.audit != nil {
		beside = append(beside, func(ctx context.Context) error { return s.runAudit(ctx, log) })
	}
	for i, run := range beside {
		beside[i] = func(ctx context.Context) error {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				log.Error("what runs beside the requests has ended: restart the server when this is mended", "error", err)
			}
			return nil // requests go on
		}
	}
	log.Info("listening", "address", l.Addr())
	return sealhttp.Serve(ctx, l, web, beside...)
}
