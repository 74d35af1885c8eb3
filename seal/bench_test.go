package seal_test

import (
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A benchStore is a store of three slots, two in a KMS that answers at once and
// one of 3 of 5 people, all of them proven. Whoever starts over it finds it as
// it was, as opening changes nothing.
type benchStore struct {
	config seal.Config
	shares []seal.Share // a quorum
}

func newBenchStore(b *testing.B, terms int) *benchStore {
	ctx := b.Context()
	cloud := &kmstest.Fake{}
	s := &benchStore{config: seal.Config{
		Store: seal.NewMemStore(),
		KMS:   map[string]kms.Wrapper{"a": cloud.Key("a"), "b": cloud.Key("b")},
	}}
	barrier := s.open(b)
	defer barrier.Close()
	delivery, err := barrier.Init(ctx, map[string]seal.Spec{
		"a":      seal.KMS{Wrapper: "a"},
		"b":      seal.KMS{Wrapper: "b"},
		"people": seal.Shamir{Shares: 5, Threshold: 3},
	}, seal.By{})
	must(b, err)
	s.shares = delivery.Sets[0].Shares[:3]
	must(b, barrier.Seal(seal.By{}))
	s.submit(b, barrier)
	s.addTerms(b, barrier, terms)
	return s
}

// addTerms has the stored record hold that many terms. Rotating as often would
// store the record as often.
func (s *benchStore) addTerms(b *testing.B, barrier *seal.Barrier, terms int) {
	state, root := barrier.Opened(b)
	for len(state.Terms) < terms {
		state.Terms[len(state.Terms)-1].State = record.TermOld
		state.LastTerm++
		term := record.Term{Number: state.LastTerm, State: record.TermActive, Created: 1}
		term.Key[0], term.Key[1], term.Key[2] = byte(term.Number), byte(term.Number>>8), 1
		state.Terms = append(state.Terms, term)
	}
	stored, err := seal.SealRecord(state, root)
	must(b, err)
	_, rev, err := s.config.Store.Load(b.Context())
	must(b, err)
	_, err = s.config.Store.Swap(b.Context(), stored, rev)
	must(b, err)
}

func (s *benchStore) open(b *testing.B) *seal.Barrier {
	barrier, err := seal.Open(s.config)
	must(b, err)
	return barrier
}

func (s *benchStore) unseal(b *testing.B, barrier *seal.Barrier) {
	if err := barrier.Unseal(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func (s *benchStore) submit(b *testing.B, barrier *seal.Barrier) {
	done := false
	for _, share := range s.shares {
		var err error
		if done, err = barrier.Submit(b.Context(), share, seal.By{}); err != nil {
			b.Fatal(err)
		}
	}
	if !done {
		b.Fatal("sealed after a quorum of shares")
	}
}

// measure starts a process over the store again and again, and times how long
// it takes from sealed to unsealed.
func (s *benchStore) measure(b *testing.B, unseal func(*testing.B, *seal.Barrier)) {
	stored, _, err := s.config.Store.Load(b.Context())
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		barrier := s.open(b)
		unseal(b, barrier)
		b.StopTimer()
		must(b, barrier.Close())
		b.StartTimer()
	}
	b.ReportMetric(float64(len(stored)), "record-bytes")
}

// BenchmarkUnseal is a start, from sealed to unsealed: with the shares of three
// people, and by a KMS that takes no time itself.
func BenchmarkUnseal(b *testing.B) {
	s := newBenchStore(b, 1)
	b.Run("people", func(b *testing.B) { s.measure(b, s.submit) })
	b.Run("kms", func(b *testing.B) { s.measure(b, s.unseal) })
}

// BenchmarkTerms is a start, by a KMS that takes no time itself, of a store
// whose keys were rotated often. Its record-bytes tell what a term adds to the
// record.
func BenchmarkTerms(b *testing.B) {
	for _, terms := range []int{1, 100, 1_000, 10_000} {
		b.Run(fmt.Sprint(terms), func(b *testing.B) {
			s := newBenchStore(b, terms)
			s.measure(b, func(b *testing.B, barrier *seal.Barrier) {
				s.unseal(b, barrier)
				if n := len(barrier.Status().Terms); n != terms {
					b.Fatalf("%d terms, want %d", n, terms)
				}
			})
		})
	}
}
