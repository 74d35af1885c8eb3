package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// A remote is the server that everything is brought into.
type remote struct {
	url    string
	token  string
	client *http.Client
}

func (o *options) remote() (*remote, error) {
	u, err := url.Parse(o.importInto)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.User != nil {
		return nil, errors.New("-import takes the address of a server: https://host:8200")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return nil, errors.New("-import without TLS is for this machine alone: the secrets would travel in clear")
	}
	if o.tokenFile == "" {
		return nil, errors.New("-token-file is required: a root token of the server, or one with sudo on sys/import/*")
	}
	token, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.authority != "" {
		text, err := os.ReadFile(o.authority)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return nil, errors.New("-ca has no certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	client := &http.Client{Transport: transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the secrets and the token are for this server, and for the path they were sent to
	}}
	return &remote{strings.TrimSuffix(o.importInto, "/") + "/v1/", strings.TrimSpace(string(token)), client}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A refusal is an answer that is none of success.
type refusal struct {
	status int
	words  []string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the server answers %d: %s", r.status, strings.Join(r.words, "; "))
}

// call makes a request, and puts what the answer has in data into out.
func (r *remote) call(ctx context.Context, method, path string, body, out any) error {
	plain, _, _ := strings.Cut(path, "?")
	for part := range strings.SplitSeq(plain, "/") {
		if part == "" || part == "." || part == ".." { // servers make another path of such a one
			return &refusal{http.StatusBadRequest, []string{"its name has a part that is empty, or dots alone: no server takes it"}}
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	defer clear(text)
	request, err := http.NewRequestWithContext(ctx, method, r.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("X-Vault-Token", r.token)
	resp, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return err
	}
	defer clear(answer)
	var in struct {
		Data   json.RawMessage `json:"data"`
		Errors []string        `json:"errors"`
	}
	if len(answer) > 0 && json.Unmarshal(answer, &in) != nil {
		return fmt.Errorf("the server answers %d, and no JSON: is it one?", resp.StatusCode)
	}
	if resp.StatusCode >= 300 {
		return &refusal{resp.StatusCode, in.Errors}
	}
	if out == nil || len(in.Data) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(in.Data))
	d.UseNumber() // a number above 2^53 is the same number
	return d.Decode(out)
}

// escaped is a path of a secret in a URL.
func escaped(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
