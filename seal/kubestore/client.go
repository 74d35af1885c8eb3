package kubestore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

// client speaks with an API server, as much as a Store needs.
type client struct {
	server string
	http   *http.Client
	token  func() (string, error) // nil where the HTTP client says who asks
}

func path(cfg Config) string {
	return "/api/v1/namespaces/" + url.PathEscape(cfg.Namespace) + "/secrets"
}

// get returns the Secret as the API server has it, or [seal.ErrNotFound]. Without a
// resourceVersion in the question, the answer is never older than an update that has
// returned.
func (c *client) get(ctx context.Context, cfg Config) ([]byte, error) {
	return c.do(ctx, cfg, http.MethodGet, path(cfg)+"/"+url.PathEscape(cfg.Name), nil)
}

func (c *client) create(ctx context.Context, cfg Config, data map[string][]byte) error {
	_, err := c.do(ctx, cfg, http.MethodPost, path(cfg), map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]string{"name": cfg.Name, "namespace": cfg.Namespace},
		"data":     data,
	})
	if errors.Is(err, seal.ErrNotFound) { // the namespace's
		return errors.New("the namespace does not exist")
	}
	return err
}

// replace puts an object back, with these keys of its data replaced.
func (c *client) replace(ctx context.Context, cfg Config, held *secret, data map[string][]byte) error {
	all := maps.Clone(held.data)
	if all == nil {
		all = map[string][]byte{}
	}
	maps.Copy(all, data)
	raw, err := json.Marshal(all)
	if err != nil {
		return err
	}
	object := maps.Clone(held.object)
	object["data"] = raw
	_, err = c.do(ctx, cfg, http.MethodPut, path(cfg)+"/"+url.PathEscape(cfg.Name), object)
	if errors.Is(err, seal.ErrNotFound) { // it was deleted just now, and nothing is stored
		return seal.ErrConflict
	}
	return err
}

// maxAnswer is more than the largest object of an API server.
const maxAnswer = 8 << 20

func (c *client) do(ctx context.Context, cfg Config, method, path string, body any) ([]byte, error) {
	answer, err := c.send(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusCreated {
		return raw, nil
	}
	return nil, refusal(answer.StatusCode, raw, cfg)
}

// send sends a request, and returns the answer, whose body is the caller's to close.
func (c *client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "sealwright-kubestore")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != nil {
		token, err := c.token()
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return c.http.Do(request)
}

// refusal tells what an answer of an API server says, by the reason that it gives.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
func refusal(code int, body []byte, cfg Config) error {
	var status struct {
		Kind, Reason, Message string
		Details               struct {
			Kind, Name string
			Causes     []struct{ Reason string }
		}
	}
	if json.Unmarshal(body, &status) != nil || status.Kind != "Status" {
		return fmt.Errorf("HTTP status %d, and no word of an API server", code)
	}
	switch {
	case status.Reason == "NotFound" && status.Details.Kind == "secrets" && status.Details.Name == cfg.Name,
		status.Reason == "NotFound" && status.Details.Kind == "namespaces":
		return seal.ErrNotFound
	case status.Reason == "Conflict" || status.Reason == "AlreadyExists":
		return seal.ErrConflict
	case status.Reason == "RequestEntityTooLarge":
		return seal.ErrTooLarge
	}
	for _, cause := range status.Details.Causes {
		if cause.Reason == "NamespaceTerminating" {
			return fmt.Errorf("%w: its namespace is being deleted", ErrFixed)
		}
	}
	return fmt.Errorf("HTTP status %d, %s", code, oneLine(status.Reason+": "+status.Message))
}

// oneLine makes an API server's words fit for a log.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 512 {
		s = strings.ToValidUTF8(s[:512], "") + "…"
	}
	return s
}
