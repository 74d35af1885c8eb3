package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/sealwright/sealwright/seal/handoff"
)

// An identity is how this replica and the others know each other: by certificates of
// one CA, which signs those of replicas and of nothing else. Whoever has one can have
// the root key.
type identity struct {
	config
	pool *x509.CertPool
}

func newIdentity(c config) (*identity, error) {
	pem, err := os.ReadFile(c.ca)
	if err != nil {
		return nil, fmt.Errorf("-ca: %w", err)
	}
	id := &identity{c, x509.NewCertPool()}
	if !id.pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", c.ca)
	}
	_, err = id.pair()
	return id, err
}

// pair is read for each connection, as the files are replaced while the pod runs.
func (id *identity) pair() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(id.cert, id.key)
	if err != nil {
		return nil, fmt.Errorf("-cert %s and -key %s: %w", id.cert, id.key, err)
	}
	if pair.Leaf.Subject.CommonName != id.replica {
		return nil, fmt.Errorf("the certificate in %s is of %q, and not of replica %q", id.cert, pair.Leaf.Subject.CommonName, id.replica)
	}
	return &pair, nil
}

func (id *identity) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: id.pool,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.pair() },
	}
}

// client asks the others. The certificate of each is also of the server's name, as
// they are asked by address.
func (id *identity) client() *handoff.Client {
	return &handoff.Client{URLs: id.others, HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: id.pool, ServerName: id.name,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return id.pair() },
	}}}}
}

// others looks the replicas up, this one among them: a headless Service has an
// address for each pod.
func (id *identity) others(ctx context.Context) (urls []string, err error) {
	var problems []error
	for peer := range strings.SplitSeq(id.peers, ",") {
		host, port, err := net.SplitHostPort(peer)
		if err != nil {
			return nil, err
		}
		ips, err := net.DefaultResolver.LookupHost(ctx, host)
		problems = append(problems, err)
		for _, ip := range ips {
			urls = append(urls, "https://"+net.JoinHostPort(ip, port)+"/")
		}
	}
	if len(urls) > 0 {
		return urls, nil
	}
	return nil, errors.Join(problems...)
}

// authorize decides who gets the root key: who has a certificate in a replica's name.
func (id *identity) authorize(r *http.Request) (string, error) {
	cert, err := handoff.Certificate(r)
	if err != nil {
		return "", err
	}
	name := cert.Subject.CommonName
	if !isReplica(name, id.name) {
		return "", fmt.Errorf("%q is no replica of %s", name, id.name)
	}
	return name, nil
}
