package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/report"
)

// events are those of several journals, by their times; nil where there is none. Each
// journal takes the heads that are of its chain, and of its lines where an archive is
// another one of that chain. None is left over.
func events(ctx context.Context, paths, heads, archived []string) (iter.Seq2[seal.Event, error], error) {
	if len(paths) == 0 {
		if len(heads)+len(archived) > 0 {
			return nil, errors.New("--head and --archived-up-to are of a journal: name it by --journal FILE")
		}
		return nil, nil
	}
	known, err := parseHeads("--head", heads...)
	if err != nil {
		return nil, err
	}
	ends, err := parseHeads("--archived-up-to", archived...)
	if err != nil {
		return nil, err
	}
	var all []*source
	for _, path := range paths {
		s, err := look(ctx, path, ends)
		if err != nil {
			return nil, err
		}
		for _, other := range all {
			if s.overlaps(other) {
				return nil, fmt.Errorf("--journal %s and --journal %s are the same, or hold the same lines: name one of them", other.place.Path, path)
			}
		}
		all = append(all, s)
	}
	if err := vouch(all, known); err != nil {
		return nil, err
	}
	for _, h := range ends {
		if !slices.ContainsFunc(all, func(s *source) bool { return s.place.After == h }) {
			return nil, fmt.Errorf("--archived-up-to %s: none of these journals follows that line", h)
		}
	}
	var from []iter.Seq2[seal.Event, error]
	for _, s := range all {
		from = append(from, journal.Read(ctx, s.place, s.heads...))
	}
	return report.Merge(from...), nil
}

// A source is one of several journals, and what is known of it.
type source struct {
	place journal.File
	heads []journal.Head
	journal.Result
}

// look looks which lines a journal has, and what of it was archived.
func look(ctx context.Context, path string, archived []journal.Head) (*source, error) {
	s := &source{place: journal.File{Path: path}}
	var err error
	s.Result, err = journal.Verify(ctx, s.place)
	for _, h := range archived {
		if s.Lines > 0 || !errors.Is(err, journal.ErrGap) {
			break
		}
		after := journal.File{Path: path, After: h}
		r, fault := journal.Verify(ctx, after)
		if errors.Is(fault, journal.ErrForeign) && r.Lines == 0 {
			continue // of another one
		}
		s.place, s.Result, err = after, r, fault
	}
	if err != nil {
		return nil, err
	}
	for _, h := range archived { // and is still here
		if s.place.After == (journal.Head{}) && s.has(h) && s.Last.Seq > h.Seq {
			s.place.After = h
		}
	}
	return s, nil
}

func (s *source) has(h journal.Head) bool {
	return s.Lines > 0 && s.First.Chain == h.Chain && s.First.Seq <= h.Seq && h.Seq <= s.Last.Seq
}

func (s *source) overlaps(o *source) bool {
	return s.has(o.First) || o.has(s.First) || s.place.Path == o.place.Path
}

// vouch gives each journal the heads of its lines.
func vouch(all []*source, heads []journal.Head) error {
	for _, h := range heads {
		i := slices.IndexFunc(all, func(s *source) bool { return s.has(h) })
		switch {
		case i >= 0:
			all[i].heads = append(all[i].heads, h)
		case len(all) == 1: // which says what is wrong
			all[0].heads = append(all[0].heads, h)
		default:
			return fmt.Errorf("--head %s: none of these journals has that line: was one cut, or replaced, or left out here?", h)
		}
	}
	return nil
}
