package record_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
)

// InitAgain over a record that nobody vouches for took its numbers over:
// everything was encrypted, and then nothing could be stored any more.
func TestAStrangersNumbersAreNotTakenOver(t *testing.T) {
	for name, set := range map[string]func(*record.Record, uint32){
		"generation": func(r *record.Record, n uint32) { r.Generation = uint64(n) },
		"root key":   func(r *record.Record, n uint32) { r.Root = n },
		"term":       func(r *record.Record, n uint32) { r.LastTerm = n },
		"slot":       func(r *record.Record, n uint32) { r.LastSlot = n },
		"share set":  func(r *record.Record, n uint32) { r.LastSet = n },
	} {
		t.Run(name, func(t *testing.T) {
			init := func(n uint32) error {
				s := initialized(t, named{"people", people3of2})
				set(&s.Record, n)
				base := s.Record
				_, err := record.Init(stepOn(&s, "op"), base, termOf(&base, record.TermActive), []record.NewSlot{slotOf(&base, "people", people3of2)})
				return errors.Join(err, s.CanInit())
			}
			prove := func(n uint32) error {
				s := initialized(t, named{"people", people3of2})
				set(&s.Record, n)
				_, err := s.Prove(stepOn(&s, ""), proofOf(&s, &s.Slots[0]), nil)
				return err
			}
			for what, try := range map[string]func(uint32) error{"init": init, "prove": prove} {
				if err := try(record.MaxUnproven); err != nil {
					t.Errorf("%s at the limit: %v", what, err)
				}
				for _, n := range []uint32{record.MaxUnproven + 1, record.MaxNumber - 2} {
					if err := try(n); !errors.Is(err, record.ErrExhausted) || !strings.Contains(err.Error(), "remove it from the store") {
						t.Errorf("%s at %d: %v", what, n, err)
					}
				}
			}
		})
	}
}

// The same for Join and Restore: a former custodian's record, which this process
// can open, had term numbers near their end.
func TestAnotherBranchIsNotFarAhead(t *testing.T) {
	for name, set := range map[string]func(*record.Record, uint32){
		"generation": func(r *record.Record, n uint32) { r.Generation += uint64(n) },
		"root key":   func(r *record.Record, n uint32) { r.Root += n },
		"term":       func(r *record.Record, n uint32) { r.LastTerm += n },
		"slot":       func(r *record.Record, n uint32) { r.LastSlot += n },
		"share set":  func(r *record.Record, n uint32) { r.LastSet += n },
	} {
		t.Run(name, func(t *testing.T) {
			h := proven(t)
			join := func(n uint32) error {
				fork := h.Record
				set(&fork, n)
				_, err := h.Join(stepOn(&h.State, ""), &fork, nil, branchOf(&h.State, max(fork.LastTerm, h.LastTerm)+1))
				return err
			}
			restore := func(n uint32) error {
				old := h.State
				set(&old.Record, n)
				_, err := old.Restore(stepOn(&old, ""), &h.Record, h.Terms, branchOf(&old, max(old.LastTerm, h.LastTerm)+1025))
				return err
			}
			for what, try := range map[string]func(uint32) error{"join": join, "restore": restore} {
				if err := try(record.MaxAhead); err != nil {
					t.Errorf("%s at the limit: %v", what, err)
				}
				if err := try(record.MaxAhead + 1); !errors.Is(err, record.ErrExhausted) || !strings.Contains(err.Error(), "so far ahead") {
					t.Errorf("%s above it: %v", what, err)
				}
			}
		})
	}
}

// A clock that is wrong writes no record that cannot be read, or shown, later.
func TestClocksThatAreWrong(t *testing.T) {
	for _, at := range []int64{math.MinInt64, -1, 0, record.MaxTime, record.MaxTime + 1, math.MaxInt64} {
		h := proven(t)
		st := func(op string) record.Step {
			return record.Step{Previous: digestOf(&h.State), At: at, Operation: op}
		}
		h.then(h.Begin(st("op"), record.Operation{Kind: record.OpMigrate}))
		h.then(h.Prove(st("op"), proofOf(&h.State, &h.Slots[0]), nil))
		term := termOf(&h.Record, record.TermActive)
		term.Created = at
		h.then(h.Rotate(st(""), term))
		if _, _, _, err := record.Parse(storedBytes(t, &h.State)); err != nil {
			t.Errorf("at %d: %v", at, err)
		}
		if _, err := record.ParseSecrets(h.Marshal()); err != nil {
			t.Errorf("at %d: %v", at, err)
		}
		if want := min(max(at, 0), record.MaxTime); h.Operation.At != want || h.Slots[0].Proven.At != want || h.Journal[len(h.Journal)-1].At != want || h.Terms[len(h.Terms)-1].Created != want {
			t.Errorf("at %d: %+v", at, h.Operation)
		}
	}
}
