//go:build unix

package objecttest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/sqltest/linear"
	"github.com/sealwright/sealwright/seal"
)

// An Opener opens a store of a key; those of one key share a record. It has a client
// of its own each time.
type Opener func(key string) seal.Store

// StaleWriter has writers race over the stores of one key, and there is an order that
// explains all that they were told; of a store that puts blindly there is none.
func StaleWriter(t *testing.T, name string, histories int, open Opener) {
	proof := linear.Prove(t, linear.Histories(histories), func() (stores []seal.Store) {
		key := Key()
		for range linear.Writers {
			s := open(key)
			if _, err := s.Swap(t.Context(), []byte("proof"), "no revision of ours"); !errors.Is(err, seal.ErrConflict) {
				t.Fatal(err) // the proof is made before the race
			}
			stores = append(stores, s)
		}
		return stores
	})
	if !t.Failed() {
		t.Log(proof.Figures(name))
	}
}

// Killed kills a server with SIGKILL while a writer goes on, and returns how many
// Swaps had returned and how many of them are lost.
func Killed(t *testing.T, server *Server, kills int, open Opener) (returned, lost int) {
	key := Key()
	for round := range kills {
		told, ended := make(chan int), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- write(ctx, open(key), told) }()
		last := 0
		for range 10 + 7*round {
			select {
			case last = <-told:
			case err := <-ended:
				t.Fatalf("round %d, %d: %v", round, last, err)
			}
		}
		server.Kill()
		cancel()
		for ended := ended; ended != nil; {
			select {
			case last = <-told:
			case <-ended:
				ended = nil
			}
		}
		server.Restart(t)
		ctx, done := context.WithTimeout(t.Context(), time.Minute)
		rec, _, err := open(key).Load(ctx)
		for err != nil && !errors.Is(err, seal.ErrNotFound) && ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond) // it listens before it answers
			rec, _, err = open(key).Load(ctx)
		}
		done()
		if err != nil && !errors.Is(err, seal.ErrNotFound) {
			t.Fatalf("round %d: %v", round, err)
		}
		if len(rec) > last+1 {
			t.Errorf("round %d: the record is number %d, and %d Swaps had returned", round, len(rec), last)
		}
		returned += last
		lost += max(0, last-len(rec))
	}
	return returned, lost
}

// write replaces the record by one of a byte, of two, and so on.
func write(ctx context.Context, s seal.Store, told chan<- int) error {
	_, rev, err := s.Load(ctx)
	if errors.Is(err, seal.ErrNotFound) {
		err = nil
	}
	for n := 1; err == nil; n++ {
		if rev, err = s.Swap(ctx, []byte(strings.Repeat("x", n)), rev); err == nil {
			told <- n
		}
	}
	return err
}
