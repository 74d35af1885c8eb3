package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// A certificate is the one in the listener's two files, and is read again when
// they change: a renewed one needs no restart, which would seal the server.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	written [2]time.Time // of the files as they were read last
}

func loadCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log, written: [2]time.Time{modified(cert), modified(key)}}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("listener: tls_cert_file %s and tls_key_file %s: %w", c.cert, c.key, err)
	}
	c.pair = &pair
	return nil
}

// get is for [tls.Config.GetCertificate]. Files that do not fit each other are
// perhaps half renewed: the certificate of before goes on.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := [2]time.Time{modified(c.cert), modified(c.key)}; now != c.written {
		c.written = now
		if err := c.load(); err != nil {
			c.log.Warn("the certificate of before goes on", "error", err)
		}
	}
	return c.pair, nil
}

// modified returns when a file was last written; zero where it cannot be seen.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
