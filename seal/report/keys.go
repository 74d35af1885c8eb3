package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

func keysOf(s *seal.SlotStatus) (out []Key) {
	for _, leaf := range s.Leaves {
		if leaf.KMS != "" {
			out = append(out, Key{
				Slot: line(s.Name), State: line(string(s.State)), Path: line(leaf.Path),
				KMS: line(leaf.KMS), Type: line(leaf.Type), KeyID: line(leaf.KeyID), Version: line(leaf.Version),
			})
		}
	}
	return out
}

func termOf(t seal.TermStatus, unused []uint32) Term {
	return Term{
		Number: t.Number, State: line(string(t.State)), Created: second(t.Created),
		Unused: t.State == seal.TermOld && slices.Contains(unused, t.Number),
	}
}

// destroy lists what nothing in the record needs any more.
func destroy(r *Report, former []uint32) []Item {
	out := []Item{}
	for _, set := range former {
		out = append(out, Item{Kind: StaleShares, Set: set,
			What: fmt.Sprintf("shares of set %d: they open nothing in the store", set),
			Do:   "have their holders destroy them, once no older copy of the record is to be opened: they open those"})
	}
	for _, t := range r.Terms {
		if t.Unused {
			out = append(out, Item{Kind: UnusedTerm, Term: t.Number,
				What: fmt.Sprintf("term %d: the host has counted no value under it", t.Number),
				Do:   "retire it, once no backup of the data from before is to be read"})
		}
	}
	type id struct{ typ, key string }
	versions := map[id][]string{}
	var ids []id
	for _, k := range r.Keys {
		i := id{k.Type, k.KeyID}
		if versions[i] == nil {
			ids = append(ids, i)
		}
		if !slices.Contains(versions[i], k.Version) {
			versions[i] = append(versions[i], k.Version)
		}
	}
	slices.SortFunc(ids, func(a, b id) int { return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(a.key, b.key)) })
	for _, i := range ids {
		if slices.Contains(versions[i], "") {
			continue // the KMS does not say by which version: any may be it
		}
		slices.Sort(versions[i])
		older := "each version older than " + versions[i][0]
		if len(versions[i]) > 1 {
			older = "each older version that is none of " + strings.Join(versions[i], ", ")
		}
		out = append(out, Item{Kind: OldVersions,
			What: fmt.Sprintf("of the %s key %s, %s: no slot is wrapped by it", i.typ, i.key, older),
			Do:   "disable it first, and destroy it once no older copy of the record is to be opened, and nothing but this store uses the key"})
	}
	return out
}
