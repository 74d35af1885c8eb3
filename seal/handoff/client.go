package handoff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/sealwright/sealwright/seal"
)

// A Client asks other replicas over HTTP. Its method Peers is for [seal.Config] Peers.
type Client struct {
	// URLs returns where the other replicas serve [New]: "https://web-1.web:8201/handoff".
	// This replica's own may be among them. It is called for each round of asking,
	// seconds apart, so that it may look them up: the addresses of a headless service,
	// or a list that the host has. Required.
	URLs func(context.Context) ([]string, error)

	// HTTP sends the requests. It proves who this replica is, by a client certificate
	// or by a token that its Transport adds, and verifies the others' certificates by
	// a CA of replicas alone. Redirects are not followed. Required.
	HTTP *http.Client

	// Plain lets URLs without TLS be asked, where a mesh encrypts and proves who
	// answers. Zero: only on this machine.
	Plain bool
}

// Peers returns the replicas to ask.
func (c *Client) Peers(ctx context.Context) ([]seal.Peer, error) {
	if c.URLs == nil || c.HTTP == nil {
		return nil, fmt.Errorf("handoff: %w: Client.URLs and Client.HTTP are required: who answers is believed by the CA of HTTP", seal.ErrConfig)
	}
	texts, err := c.URLs(ctx)
	if err != nil {
		return nil, err
	}
	client := *c.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var peers []seal.Peer
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("handoff: %w: a URL of a replica is no URL", seal.ErrConfig) // it may hold a password
		}
		p := seal.Peer{Name: u.Host}
		if reason := c.unfit(u); reason != nil {
			p.Ask = func(context.Context, []byte) ([]byte, error) { return nil, reason }
		} else {
			p.Ask = func(ctx context.Context, request []byte) ([]byte, error) { return ask(ctx, &client, u, request) }
		}
		peers = append(peers, p)
	}
	return peers, nil
}

var errURL = errors.New("its URL is not https, so nothing proves who answers: see Client.Plain")

// unfit returns why a URL is not asked.
func (c *Client) unfit(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && (c.Plain || loopback(u.Hostname()+":0") || loopback("["+u.Hostname()+"]:0")) {
		return nil
	}
	return errURL
}

// ask sends one request.
func ask(ctx context.Context, client *http.Client, u *url.URL, request []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(request))
	if err != nil {
		return nil, errors.New("its URL cannot be asked")
	}
	r.Header.Set("Content-Type", contentType)
	answer, err := client.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which may hold a password
		}
		return nil, err
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Type") != contentType {
		return nil, fmt.Errorf("what answers is no hand-off: HTTP status %d", answer.StatusCode)
	}
	return io.ReadAll(io.LimitReader(answer.Body, seal.MaxHandOffAnswer+1))
}
