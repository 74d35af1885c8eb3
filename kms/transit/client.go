package transit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/sealwright/sealwright/internal/pathfield"
	"github.com/sealwright/sealwright/kms"
)

const (
	maxAnswer = 1 << 20 // a key of thousands of versions stays below it
	maxToken  = 8 << 10
)

// A request is one call of the API.
type request struct {
	op     string
	method string
	path   string // below /v1/
	body   []byte // JSON, or nil; it is wiped
	key    []byte // what the body wraps, if it does
	into   any    // what a 200 is decoded into
}

// call makes one request. The error is an *kms.Error, or nil.
func (w *Wrapper) call(ctx context.Context, r request) error {
	body := &wipedBody{data: r.body, rest: r.body}
	defer body.Close()
	if err := ctx.Err(); err != nil {
		return w.failure(r.op, kms.ErrUnavailable, err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.cfg.Timeout)
		defer cancel()
	}
	token, err := w.token()
	if err != nil {
		return w.failure(r.op, kms.ErrUnauthenticated, err)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, w.base+r.path, nil)
	if err != nil {
		return w.failure(r.op, kms.ErrMisconfigured, err)
	}
	req.Header.Set("X-Vault-Token", token)
	req.Header.Set("X-Vault-Request", "true")
	if w.cfg.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", w.cfg.Namespace)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Body, req.ContentLength = body, int64(len(r.body))
	}
	client, err := w.connection()
	if err != nil {
		kind := kms.ErrUnavailable // a file that is mounted late, or is being replaced
		if errors.Is(err, errNoCertificate) {
			kind = kms.ErrMisconfigured
		}
		return w.failure(r.op, kind, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return w.transportFailure(ctx, r.op, err)
	}
	defer resp.Body.Close()

	// One buffer, that is wiped: io.ReadAll leaves smaller ones behind.
	data := make([]byte, 4<<10)
	defer func() { clear(data) }()
	n := 0
	for n < maxAnswer {
		if n == len(data) {
			larger := make([]byte, 4*len(data))
			copy(larger, data)
			clear(data)
			data = larger
		}
		m, err := resp.Body.Read(data[n:])
		n += m
		if err == io.EOF {
			return w.identified(ctx, r, w.answered(ctx, r, resp, data[:n], token))
		}
		if err != nil {
			return w.transportFailure(ctx, r.op, err)
		}
	}
	return w.failure(r.op, kms.ErrUnavailable, fmt.Errorf("the answer is longer than %d bytes", maxAnswer))
}

const lookupSelf = "auth/token/lookup-self"

// identified tells a token that may not from one that is none any more. OpenBao,
// and older Vaults, say "permission denied" to both; so the token is asked about
// itself, once, which every token may that has the policy "default".
func (w *Wrapper) identified(ctx context.Context, r request, err error) error {
	refused, ok := errors.AsType[*kms.Error](err)
	if !ok || refused.Kind != kms.ErrDenied || r.path == lookupSelf {
		return err
	}
	var answer struct{}
	asked := w.call(ctx, request{op: r.op, method: http.MethodGet, path: lookupSelf, into: &answer})
	if errors.Is(asked, kms.ErrDenied) || errors.Is(asked, kms.ErrUnauthenticated) {
		refused.Kind = kms.ErrUnauthenticated
		refused.Err = fmt.Errorf("%w (the token may not look itself up either: it is expired, revoked, or without the policy default)", refused.Err)
	}
	return refused
}

// answered decodes an answer, or turns it into an error.
func (w *Wrapper) answered(ctx context.Context, r request, resp *http.Response, data []byte, token string) error {
	if resp.StatusCode != http.StatusOK {
		return w.refusal(r.op, resp, wordsOf(data, token, r.key))
	}
	if err := json.Unmarshal(data, r.into); err != nil {
		if ctx.Err() != nil { // the server saw that, and ended its answer
			return w.transportFailure(ctx, r.op, io.ErrUnexpectedEOF)
		}
		// The decoder's words might repeat a part of the answer.
		return w.failure(r.op, kms.ErrUnavailable, errors.New("the answer is not the JSON expected: is Address that of a Vault?"))
	}
	return nil
}

// token returns the token to use now.
func (w *Wrapper) token() (string, error) {
	if w.cfg.TokenFile == "" {
		return w.fixed(), nil
	}
	f, err := os.Open(w.cfg.TokenFile)
	if err != nil {
		return "", pathfield.Error("TokenFile", w.cfg.TokenFile, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", pathfield.Error("TokenFile", w.cfg.TokenFile, err)
	}
	token := string(bytes.TrimSpace(data))
	if len(data) > maxToken || !tokens.MatchString(token) {
		return "", fmt.Errorf("TokenFile %s holds no token", pathfield.Show(w.cfg.TokenFile))
	}
	return token, nil
}

// wordsOf returns what an error's body says, on one line: the engine's list of
// errors, or nothing. Words that repeat a secret are withheld.
func wordsOf(data []byte, token string, key []byte) string {
	var answer struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(data, &answer) != nil {
		return ""
	}
	words := strings.Join(strings.Fields(strings.ToValidUTF8(strings.Join(answer.Errors, "; "), "?")), " ")
	secret := base64.StdEncoding.AppendEncode(nil, key)
	defer clear(secret)
	if strings.Contains(words, token) || len(secret) > 0 && bytes.Contains([]byte(words), secret) {
		return "(words that repeat a secret are withheld)"
	}
	const most = 300
	if len(words) > most {
		words = strings.ToValidUTF8(words[:most], "") + "…"
	}
	return words
}

// wipedBody is a request's body that is cleared when it is closed. The client
// may read it from another goroutine, even after its Do has returned.
type wipedBody struct {
	mu         sync.Mutex
	data, rest []byte
}

func (b *wipedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *wipedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.data)
	b.rest = nil
	return nil
}
