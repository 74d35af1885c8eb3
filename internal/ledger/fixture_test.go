package ledger_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// A store keeps one record in memory; what it shall do otherwise is planted.
type store struct {
	mu       sync.Mutex
	rec      []byte
	rev      int
	onLoad   func() error // before it
	onSwap   func() error // before it: the swap is refused
	swapped  func() error // after it: the swap took place
	warnings []string
	loads    int
	swaps    int
}

func (s *store) Load(context.Context) ([]byte, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	if s.onLoad != nil {
		if err := s.onLoad(); err != nil {
			return nil, "", err
		}
	}
	if s.rec == nil {
		return nil, "", ledger.ErrNotFound
	}
	return bytes.Clone(s.rec), s.at(), nil
}

func (s *store) Swap(_ context.Context, rec []byte, old string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swaps++
	if s.onSwap != nil {
		if err := s.onSwap(); err != nil {
			return "", err
		}
	}
	if old != s.at() {
		return "", ledger.ErrConflict
	}
	s.put(rec)
	if s.swapped != nil {
		if err := s.swapped(); err != nil {
			return "", err
		}
	}
	return s.at(), nil
}

func (s *store) Warnings() []string { return s.warnings }

// at is the revision of what is stored; "" for nothing.
func (s *store) at() string {
	if s.rec == nil {
		return ""
	}
	return time.Duration(s.rev).String()
}

// put stores a record, whoever sent it.
func (s *store) put(rec []byte) {
	s.rec = bytes.Clone(rec)
	s.rev++
}

// A branch is a line of records that descend from each other, as some process
// would make them.
type branch struct {
	t    testing.TB
	root []byte
	open *ledger.Opened // the newest
	rec  []byte
}

var rootKey = bytes.Repeat([]byte{7}, 32)

// newBranch makes the first record of a store, with one slot of people, proven
// or not.
func newBranch(t testing.TB, store string) *branch {
	t.Helper()
	next, err := record.Init(record.Step{Operation: "init"}, record.Record{Store: store, Root: 1}, term(1, 1, record.TermActive), []record.NewSlot{slot("people")})
	if err != nil {
		t.Fatal(err)
	}
	b := &branch{t: t, root: rootKey}
	return b.with(next)
}

// slot is a slot that nobody opens here: the ledger does not ask.
func slot(name string) record.NewSlot {
	leaf := &record.Shares{Shares: 1, Threshold: 1, Set: 1, Commitments: []record.HexBytes{bytes.Repeat([]byte{1}, 32)}}
	return record.NewSlot{
		Name: name, Tree: record.Node{Shamir: leaf}, PublicKey: make([]byte, 1249), Wrap: make([]byte, 1153+92),
		Identity: [32]byte{byte(len(name))},
	}
}

func term(number uint32, key byte, state record.TermState) record.Term {
	return record.Term{Number: number, State: state, Key: [32]byte{key}}
}

func (b *branch) with(next record.State) *branch {
	b.t.Helper()
	open, rec, err := ledger.Draft(next, b.root)
	if err != nil {
		b.t.Fatal(err)
	}
	return &branch{b.t, b.root, open, rec}
}

// step is what every transition from here is told.
func (b *branch) step() record.Step { return record.Step{Previous: b.open.Digest} }

// proven is the branch after its slot was proven.
func (b *branch) proven() *branch {
	b.t.Helper()
	s := b.open.State
	next, err := s.Prove(b.step(), record.FreshProof{Slot: 1, Root: s.Root, Generation: s.Generation}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.with(next)
}

// next is the branch after n changes, which begin and end operations. Another
// mark makes other records of the same generations.
func (b *branch) next(n int, mark string) *branch {
	b.t.Helper()
	for range n {
		st := b.step()
		st.Operation = mark
		var next record.State
		var err error
		if b.open.State.Operation == nil {
			next, err = b.open.State.Begin(st, record.Operation{Kind: record.OpProve, Slot: "people"})
		} else {
			st.Operation = b.open.State.Operation.ID
			next, err = b.open.State.End(st)
		}
		if err != nil {
			b.t.Fatal(err)
		}
		b = b.with(next)
	}
	return b
}

const (
	storeID = "00112233445566778899aabbccddeeff"
	otherID = "ffeeddccbbaa99887766554433221100"
)

func newLedger(cfg ledger.Config) *ledger.Ledger {
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	return ledger.New(cfg)
}

// saw is a ledger over a store that holds the branch, and has seen it.
func saw(t testing.TB, s *store, b *branch) *ledger.Ledger {
	t.Helper()
	s.put(b.rec)
	l := newLedger(ledger.Config{Store: s})
	l.Saw(b.open)
	return l
}
