package storetest

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// dialed is a store behind a connection of its own for each call, as a client of a
// server has it: a greeting, then one question and one answer.
type dialed string

type question struct {
	Load     bool
	Rec      []byte
	Old      string
	Greeting bool
}

type reply struct {
	Rec   []byte
	Rev   string
	Error string
}

func (d dialed) Load(ctx context.Context) ([]byte, string, error) {
	r, err := d.ask(ctx, question{Load: true})
	return r.Rec, r.Rev, err
}

func (d dialed) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	r, err := d.ask(ctx, question{Rec: rec, Old: old})
	return r.Rev, err
}

func (d dialed) ask(ctx context.Context, q question) (r reply, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", string(d))
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	in, buf := gob.NewDecoder(conn), bufio.NewWriter(conn)
	out := gob.NewEncoder(buf)
	for _, q := range []question{{Greeting: true}, q} {
		r = reply{}
		if err := errors.Join(out.Encode(q), buf.Flush(), in.Decode(&r)); err != nil {
			return reply{}, err
		}
	}
	for _, known := range []error{seal.ErrNotFound, seal.ErrConflict} {
		if r.Error == known.Error() {
			return reply{}, known
		}
	}
	if r.Error != "" {
		return reply{}, errors.New(r.Error)
	}
	return r, nil
}

// serve serves a store of its own until the test ends.
func serve(t testing.TB) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := seal.NewMemStore()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in, buf := gob.NewDecoder(conn), bufio.NewWriter(conn)
				out := gob.NewEncoder(buf)
				for {
					var q question
					if in.Decode(&q) != nil {
						return
					}
					var r reply
					var err error
					switch {
					case q.Load:
						r.Rec, r.Rev, err = s.Load(context.Background())
					case !q.Greeting:
						r.Rev, err = s.Swap(context.Background(), q.Rec, q.Old)
					}
					if err != nil {
						r.Error = err.Error()
					}
					if errors.Join(out.Encode(r), buf.Flush()) != nil { // an answer is sent at once
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestRunLostAnswers(t *testing.T) {
	RunLostAnswers(t, func(t *testing.T) (seal.Store, func(n int)) {
		w := NewWire(t, "tcp", serve(t))
		return dialed(w.Addr()), w.Lose
	})
}

// The whole suite passes over a wire that loses nothing.
func TestWire(t *testing.T) {
	Config{MaxRecordSize: MinRecordSize}.Run(t, func(t *testing.T) seal.Store {
		return cancelledAlone{mutant{dialed(NewWire(t, "tcp", serve(t)).Addr()), nil, refusesFrom(MinRecordSize + 1)}}
	})
	hung := NewWire(t, "tcp", serve(t))
	hung.Hang(true)
	ended := make(chan error, 1)
	go func() { _, err := dialed(hung.Addr()).Swap(t.Context(), []byte("one"), ""); ended <- err }()
	select {
	case err := <-ended:
		t.Errorf("Swap over a wire that hangs: error %v", err)
	case <-time.After(10 * time.Millisecond): // too short shows nothing
	}
	hung.Hang(false)
	if err := <-ended; err != nil {
		t.Errorf("Swap over a wire that hung: error %v", err)
	}
	w := NewWire(t, "tcp", "127.0.0.1:1") // nobody listens there
	if _, _, err := dialed(w.Addr()).Load(t.Context()); err == nil {
		t.Error("Load over a wire to nowhere: no error")
	}
}

// cancelledAlone names the context's error where the network has words of its own.
type cancelledAlone struct{ seal.Store }

func (c cancelledAlone) Load(ctx context.Context) ([]byte, string, error) {
	rec, rev, err := c.Store.Load(ctx)
	return rec, rev, errors.Join(err, ctx.Err())
}

func (c cancelledAlone) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	rev, err := c.Store.Swap(ctx, rec, old)
	return rev, errors.Join(err, ctx.Err())
}

// Stores that make something of a lost answer are found out, each time: a client
// that tries again by itself, one that takes silence for success, one that takes it
// for a store without a record.
func TestPlantedLostAnswers(t *testing.T) {
	planted := map[string]struct {
		plant func(seal.Store) seal.Store
		words string
	}{
		"retries by itself": {Retrying, "Does the client try again by itself?"},
		"silence is success": {func(s seal.Store) seal.Store {
			return mutant{s, nil, func(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
				rev, err := s.Swap(ctx, rec, old)
				if err != nil && !errors.Is(err, seal.ErrConflict) {
					return "assumed", nil
				}
				return rev, err
			}}
		}, `Swap = "assumed", but the store holds`},
		"silence is no record": {func(s seal.Store) seal.Store { return mutant{s, loadAnyErrorIsNotFound, nil} }, "or an error that leaves it open"},
		"swaps twice":          {func(s seal.Store) seal.Store { return mutant{s, nil, blindAgain} }, "the store holds"},
	}
	for name, p := range planted {
		t.Run(name, func(t *testing.T) {
			again := 20
			if testing.Short() {
				again = 3
			}
			for range again {
				found := ""
				for n := 1; n <= lostAnswers && found == ""; n++ {
					w := NewWire(t, "tcp", serve(t))
					found = failureNow(t, func(t testing.TB) {
						loseAnswer(t, p.plant(dialed(w.Addr())), func() { w.Lose(n) }, func() { w.Lose(0) })
					})
				}
				if !strings.Contains(found, p.words) {
					t.Fatalf("found %q, want %q", found, p.words)
				}
			}
		})
	}
}

// blindAgain puts something else when an answer is lost.
func blindAgain(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
	rev, err := s.Swap(ctx, rec, old)
	if err != nil && !errors.Is(err, seal.ErrConflict) {
		BlindPut(s).Swap(ctx, append([]byte("again "), rec...), "")
	}
	return rev, err
}

// failureNow is failure in real time, as networks need it.
func failureNow(t *testing.T, check func(t testing.TB)) string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(r)
	}()
	<-done
	return strings.Join(r.words, "\n")
}
