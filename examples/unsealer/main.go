// Unsealer is a small server, held by five people's shares, that unseals the
// Vaults and OpenBaos of a company by their seal "transit", and Sealwright servers
// by kms/transit. README.md says when it is the answer, and shows the stanzas.
//
//	go run ./examples/unsealer -demo                       what it does, in a few seconds
//	go run ./examples/unsealer -dir /var/lib/unsealer -new-client vault-a
//	go run ./examples/unsealer -dir /var/lib/unsealer      runs it
//
// The first -new-client that names operator makes the operators' token. Each other
// one makes a token that may encrypt and decrypt under one key, of the client's
// name, and nothing else. The file clients in the directory has a line for each,
// its name and the SHA-256 of its token; it is read for each request, so that a
// line that is taken out is a token that is revoked.
//
// Init, unseal, rekey and rotation are those of the bao and vault command lines:
//
//	export BAO_ADDR=http://127.0.0.1:8200
//	bao operator init        (-pgp-keys=… to have each share encrypted to its holder)
//	bao operator unseal      three times
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
	"syscall"
	"time"

	"github.com/sealwright/sealwright/examples/internal/flags"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

func main() {
	dir := flag.String("dir", "", "the `directory` of the server's file and of clients")
	listen := flag.String("listen", "127.0.0.1:8200", "the `address` to listen on; one of another machine's reach needs TLS")
	cert := flag.String("tls-cert", "", "a PEM `file`")
	key := flag.String("tls-key", "", "a PEM `file`")
	client := flag.String("new-client", "", "make a token for a client of this `name`, print it, and end")
	demo := flag.Bool("demo", false, "show what it does in a temporary directory, and verify every step")
	flags.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *demo:
		err = runDemo(ctx, os.Stdout)
	case *dir == "":
		err = errors.New("say -dir DIRECTORY, or -demo")
	case *client != "":
		err = newClient(*dir, *client)
	default:
		err = run(ctx, *dir, *listen, *cert, *key)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "unsealer:", err)
		os.Exit(1)
	}
}

func newClient(dir, name string) error {
	token, err := clients{dir}.add(name)
	if err == nil {
		fmt.Println(token)
	}
	return err
}

// run serves until ctx ends.
func run(ctx context.Context, dir, listen, cert, key string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); cert == "" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("what unseals others is reached over TLS: say -tls-cert and -tls-key, or listen on 127.0.0.1")
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	return serve(ctx, dir, l, cert, key, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// serve serves on a listener until ctx ends. Then it seals.
func serve(ctx context.Context, dir string, l net.Listener, cert, key string, log *slog.Logger) error {
	defer l.Close()
	s, err := newServer(dir, log)
	if err != nil {
		return err
	}
	defer s.close()
	web := &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return err
		}
		web.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	log.Info("listening", "address", l.Addr())
	return sealhttp.Serve(ctx, l, web)
}
