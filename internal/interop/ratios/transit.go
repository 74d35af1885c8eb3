package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"

	"github.com/sealwright/sealwright/internal/measure"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal/transitengine"
)

// transitClients are how many speak to a server at once.
const transitClients = 2

// transitBenchmarks compare an encrypt over HTTP, on loopback, with a handler
// that reads as much, does nothing, and answers as much; and a batch of a
// thousand with a thousand encrypts one by one. All time of the clients is in it.
func transitBenchmarks() (benchmarks []measure.Benchmark) {
	owner := keyring.New()
	if err := owner.Install("ratios", []keyring.Term{{Number: 1, Key: keyring.Key{1}, Active: true}}); err != nil {
		log.Fatal(err)
	}
	keys, err := named.New(named.Config{Keyring: owner.Keyring(), Store: named.NewMemStore(), Keep: func(migrate.Source) {}})
	if err != nil {
		log.Fatal(err)
	}
	engine, err := transitengine.New(transitengine.Config{
		Keys: keys, Sealed: func() error { return nil }, Authorize: func(*http.Request, transitengine.Action, string) error { return nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	ours := httptest.NewServer(engine)
	for _, size := range []measure.Size{64, 1 << 10} {
		body := fmt.Sprintf(`{"plaintext":"%s"}`, base64.StdEncoding.EncodeToString(make([]byte, size)))
		answer := ask(http.DefaultClient, ours.URL, body)
		nothing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
			w.Write(answer)
		}))
		benchmarks = append(benchmarks, measure.Benchmark{
			Name: fmt.Sprintf("transit/http/%v", size), Bytes: int(size),
			Ours: requests(ours.URL, body), Others: []measure.Other{{Name: "nothing", Floor: true, Run: requests(nothing.URL, body)}},
		})
	}
	const items = 1000
	one := fmt.Sprintf(`{"plaintext":"%s"}`, base64.StdEncoding.EncodeToString(make([]byte, 64)))
	batch := `{"batch_input":[` + string(bytes.Repeat([]byte(one+","), items-1)) + one + `]}`
	single := requests(ours.URL, one)
	return append(benchmarks, measure.Benchmark{
		Name: "transit/batch/1000x64B", Bytes: items * 64, Ours: requests(ours.URL, batch),
		Others: []measure.Other{{Name: "one-by-one", Run: func(n int) { single(n * items) }}},
	})
}

// requests makes n encrypts, by several clients at once.
func requests(url, body string) func(n int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: transitClients}}
	return func(n int) {
		var wg sync.WaitGroup
		for i := range transitClients {
			wg.Go(func() {
				for range (n + i) / transitClients {
					ask(client, url, body)
				}
			})
		}
		wg.Wait()
	}
}

func ask(client *http.Client, url, body string) []byte {
	resp, err := client.Post(url+"/v1/transit/encrypt/ratios", "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		log.Fatal(resp.Status, err, string(answer))
	}
	return answer
}
