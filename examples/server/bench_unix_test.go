//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/seal"
)

// plain encrypts nothing. It copies, as what bbolt returns must be.
type plain struct{}

func (plain) Encrypt(dst, plaintext, _ []byte) ([]byte, error) { return append(dst, plaintext...), nil }
func (plain) Decrypt(dst, ciphertext, _ []byte) ([]byte, error) {
	return append(dst, ciphertext...), nil
}

// A side is one of the two servers that are compared.
type side struct {
	url   string
	token string
	http.Handler
}

// encrypted returns a server as it is, with people's seal, unsealed.
func encrypted(b *testing.B) *side {
	b.Helper()
	cfg, err := parseConfig([]byte(fmt.Sprintf("storage \"file\" { path = %q }\nlistener \"tcp\" { tls_disable = true }\n", filepath.ToSlash(b.TempDir()))), "bench.hcl", nil)
	if err != nil {
		b.Fatal(err)
	}
	s, err := newServer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.close)
	d, err := s.barrier.Init(b.Context(), map[string]seal.Spec{"shamir": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.barrier.Submit(b.Context(), d.Sets[0].Shares[0], seal.By{}); err != nil {
		b.Fatal(err)
	}
	token, err := s.mint(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return serveSide(b, s, token)
}

// inClear returns the same handlers over a file of their own, without
// encryption and without a seal.
func inClear(b *testing.B) *side {
	b.Helper()
	s := &server{db: &boltfile.File{Path: filepath.Join(b.TempDir(), "plain.db")}, keys: plain{}}
	b.Cleanup(func() { s.db.Close() })
	s.Handler = s.routes(http.NotFoundHandler(), http.NotFoundHandler(), http.NotFoundHandler(), http.NotFoundHandler())
	const token = "s.123456789012345678901234"
	digest := sha256.Sum256([]byte(token))
	err := s.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucket(hostBucket)
		if err != nil {
			return err
		}
		return bucket.Put(tokenKey, digest[:])
	})
	if err != nil {
		b.Fatal(err)
	}
	return serveSide(b, s, token)
}

func serveSide(b *testing.B, h http.Handler, token string) *side {
	web := httptest.NewServer(h)
	b.Cleanup(web.Close)
	return &side{url: web.URL, token: token, Handler: h}
}

// send is one request, over HTTP or to the handler itself.
func (s *side) send(client *http.Client, method string, body []byte) (int, error) {
	const path = "/v1/secret/data/hello"
	if client == nil {
		r := httptest.NewRequest(method, path, bytes.NewReader(body))
		r.Header.Set("X-Vault-Token", s.token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code, nil
	}
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-Vault-Token", s.token)
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// A cost is the time that something takes, and that of the processors, which
// says more on a machine that others use.
type cost struct{ time, cpu time.Duration }

// cpu returns the time that the processors have spent on this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// batch is n requests by some clients at once.
func (s *side) batch(b *testing.B, client *http.Client, method string, body []byte, n, clients int) cost {
	var wg sync.WaitGroup
	start, before := time.Now(), cpu(b)
	for range clients {
		wg.Go(func() {
			for range n / clients {
				if code, err := s.send(client, method, body); code != 200 || err != nil {
					b.Errorf("%s: %d %v", method, code, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return cost{time.Since(start), cpu(b) - before}
}

// BenchmarkKV measures kv get and kv put beside the same handlers without
// encryption, interleaved: a batch of the one and a batch of the other by turns,
// whose ratio is taken before the median is. The ratio of all the processors'
// time comes beside it. 1 is the end.
//
//	go test ./server -run '^$' -bench KV -cpu 2 -benchtime 200x
func BenchmarkKV(b *testing.B) {
	for _, size := range []int{16, 4 << 10} {
		body, err := json.Marshal(map[string]any{"data": map[string]string{"greeting": strings.Repeat("w", size)}})
		if err != nil {
			b.Fatal(err)
		}
		for _, how := range []struct {
			name    string
			client  *http.Client
			clients int
		}{
			{"http", http.DefaultClient, 1},
			{"http-4-clients", http.DefaultClient, 4},
			{"handler", nil, 1},
		} {
			for _, op := range []struct {
				name, method string
				body         []byte
				n            int
			}{{"get", "GET", nil, 20}, {"put", "PUT", body, 4}} {
				b.Run(fmt.Sprintf("%s/%dB/%s", op.name, size, how.name), func(b *testing.B) {
					ours, theirs := encrypted(b), inClear(b)
					for _, s := range []*side{ours, theirs} { // so many versions are kept
						s.batch(b, nil, "PUT", body, 2*maxVersions, 1)
						s.batch(b, how.client, op.method, op.body, op.n, how.clients)
					}
					var mine, plain, ratios []float64
					var cpuMine, cpuPlain time.Duration
					for b.Loop() {
						first, second := ours, theirs
						if len(ratios)%2 == 1 {
							first, second = second, first
						}
						c1 := first.batch(b, how.client, op.method, op.body, op.n, how.clients)
						c2 := second.batch(b, how.client, op.method, op.body, op.n, how.clients)
						if len(ratios)%2 == 1 {
							c1, c2 = c2, c1
						}
						mine = append(mine, float64(c1.time.Nanoseconds())/float64(op.n))
						plain = append(plain, float64(c2.time.Nanoseconds())/float64(op.n))
						ratios = append(ratios, float64(c1.time)/float64(c2.time))
						cpuMine, cpuPlain = cpuMine+c1.cpu, cpuPlain+c2.cpu
					}
					b.ReportMetric(0, "ns/op") // it would be that of two batches
					b.ReportMetric(median(mine), "ns/request")
					b.ReportMetric(median(plain), "ns/plain")
					b.ReportMetric(median(ratios), "ratio")
					b.ReportMetric(float64(cpuMine)/float64(cpuPlain), "cpu-ratio")
				})
			}
		}
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
