package seal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/internal/record"
)

// A Spec is the shape of what protects a slot: [Shamir], [KMS], or a
// [Threshold] of several. The list is closed.
type Spec interface {
	// String returns the shape in words: "3 of 5 people", "KMS azure".
	String() string
	record() record.Spec
}

// Shamir is a slot held by people, any Threshold of whom open it.
type Shamir struct {
	Shares    int // 1 to 255
	Threshold int // 2 to Shares; 1 only with a single share

	// Custodians says who gets which share, one for each; empty: nobody said.
	// It matters when the shares are made, and is no part of the shape.
	Custodians []Custodian
}

// KMS is a slot protected by a key of the wrapper that [Config.KMS] holds
// under Name.
type KMS struct {
	Wrapper string
}

// Threshold is a slot that any K of its children open together: 2 of 3 clouds,
// or a cloud and people. To let any one of several open the store, give each a
// slot of its own.
type Threshold struct {
	K  int // 2 to len(Of)
	Of []Spec
}

func (s Shamir) String() string {
	if s.Shares == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d of %d people", s.Threshold, s.Shares)
}

func (s KMS) String() string { return "KMS " + s.Wrapper }

func (s Threshold) String() string {
	parts := make([]string, len(s.Of))
	for i, child := range s.Of {
		parts[i] = child.String()
	}
	return fmt.Sprintf("%d of (%s)", s.K, strings.Join(parts, ", "))
}

func (s Shamir) record() record.Spec {
	return record.Spec{Shares: s.Shares, Threshold: s.Threshold}
}

func (s KMS) record() record.Spec { return record.Spec{KMS: s.Wrapper} }

func (s Threshold) record() record.Spec {
	out := record.Spec{Threshold: s.K, Of: []record.Spec{}}
	for _, child := range s.Of {
		if child == nil {
			child = KMS{} // Check names the fault
		}
		out.Of = append(out.Of, child.record())
	}
	return out
}

// specOf is the inverse of Spec.record.
func specOf(s record.Spec) Spec {
	switch {
	case s.KMS != "":
		return KMS{Wrapper: s.KMS}
	case s.Of != nil:
		out := Threshold{K: s.Threshold}
		for _, child := range s.Of {
			out.Of = append(out.Of, specOf(child))
		}
		return out
	}
	return Shamir{Shares: s.Shares, Threshold: s.Threshold}
}

// checkSpec reports why the shape cannot be used with these wrappers.
func (b *Barrier) checkSpec(s Spec) (record.Spec, error) {
	if s == nil {
		return record.Spec{}, fmt.Errorf("%w: a slot without a Spec", ErrConfig)
	}
	spec := s.record()
	if k, ok := s.(KMS); ok && k.Wrapper == "" {
		return spec, fmt.Errorf("%w: a KMS spec without a name", ErrConfig)
	}
	if err := spec.Check(); err != nil {
		return spec, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return spec, b.checkWrappers(spec)
}

func (b *Barrier) checkWrappers(s record.Spec) error {
	if s.KMS != "" && b.cfg.KMS[s.KMS] == nil {
		return fmt.Errorf("%w: the configuration has no KMS named %q", ErrConfig, s.KMS)
	}
	for _, child := range s.Of {
		if err := b.checkWrappers(child); err != nil {
			return err
		}
	}
	return nil
}

// NeedsPeople reports whether KMS keys alone cannot open a slot of that shape.
func NeedsPeople(s Spec) bool {
	switch s := s.(type) {
	case Shamir:
		return true
	case Threshold:
		machines := 0
		for _, child := range s.Of {
			if !NeedsPeople(child) {
				machines++
			}
		}
		return machines < s.K
	}
	return false
}

// HasPeople reports whether any part of the shape is held by people, so that
// making it makes shares.
func HasPeople(s Spec) bool {
	switch s := s.(type) {
	case Shamir:
		return true
	case Threshold:
		return slices.ContainsFunc(s.Of, HasPeople)
	}
	return false
}
