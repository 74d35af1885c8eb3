package vaultstore

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/shamir"
)

// ParseShare reads a share as the servers print it: in hex, or in base64.
func ParseShare(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if share, err := hex.DecodeString(text); err == nil && len(share) >= 16 && len(share) <= 33 {
		return share, nil
	}
	if share, err := base64.StdEncoding.DecodeString(text); err == nil && len(share) >= 16 && len(share) <= 33 {
		return share, nil
	}
	return nil, errors.New("vaultstore: that is no share: 33 bytes in hex or base64 (66 or 44 characters)")
}

// maxSubsets is how many sets of shares are combined before a search ends.
const maxSubsets = 200_000

// A deck is the shares that were given, each once. Shares of another length than
// a 32-byte key's are none of the store's.
type deck struct {
	shares [][]byte
	number []int // of each in what was given, from 1
	odd    []int // that cannot be shares here
	twice  []int // that were given before
}

func newDeck(given [][]byte) *deck {
	d := new(deck)
next:
	for i, share := range given {
		for _, other := range d.shares {
			if bytes.Equal(share, other) {
				d.twice = append(d.twice, i+1)
				continue next
			}
		}
		if n := len(share); n != 33 && !(n == 32 && len(given) == 1) || n == 33 && share[32] == 0 {
			d.odd = append(d.odd, i+1)
			continue
		}
		d.shares = append(d.shares, share)
		d.number = append(d.number, i+1)
	}
	return d
}

// search calls try with what each set of shares combines to, until it returns
// true: first all of them, then sets of the likely sizes, then of any other. It
// returns the set, as indices of d.shares, and whether it has tried all.
func (d *deck) search(likely []int, try func(secret []byte) bool) (set []int, complete bool) {
	n := len(d.shares)
	if n == 1 && len(d.shares[0]) == 32 {
		secret := bytes.Clone(d.shares[0])
		if try(secret) {
			return []int{0}, true
		}
		return nil, true
	}
	left := maxSubsets
	done := map[int]bool{}
	sizes := append([]int{n}, likely...)
	for size := 2; size < n; size++ {
		sizes = append(sizes, size)
	}
	for _, size := range sizes {
		if size < 2 || size > n || done[size] {
			continue
		}
		done[size] = true
		for set := range subsets(n, size, &left) {
			if secret, err := d.combine(set, 0); err == nil && try(secret) {
				return slices.Clone(set), true
			}
		}
	}
	return nil, left > 0
}

// subsets goes through the sets of one size, of n. Whoever keeps one copies it.
func subsets(n, size int, left *int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		set := make([]int, size)
		for i := range set {
			set[i] = i
		}
		for *left > 0 {
			*left--
			if !yield(set) {
				return
			}
			i := size - 1
			for i >= 0 && set[i] == n-size+i {
				i--
			}
			if i < 0 {
				return
			}
			set[i]++
			for j := i + 1; j < size; j++ {
				set[j] = set[j-1] + 1
			}
		}
	}
}

// combine returns the values at x of the polynomials through the shares of a
// set. Adding is XOR in this field, so shares moved by x have them at 0.
func (d *deck) combine(set []int, x byte) ([]byte, error) {
	moved := make([][]byte, len(set))
	for i, j := range set {
		moved[i] = bytes.Clone(d.shares[j])
		moved[i][len(moved[i])-1] ^= x
		defer clear(moved[i])
	}
	return shamir.Combine(moved)
}

// fits reports whether a share lies on the polynomials through a set.
func (d *deck) fits(set []int, share int) bool {
	s := d.shares[share]
	for _, i := range set {
		if d.shares[i][32] == s[32] {
			return bytes.Equal(d.shares[i], s)
		}
	}
	got, err := d.combine(set, s[32])
	defer clear(got)
	return err == nil && bytes.Equal(got, s[:32])
}

// strangers returns the numbers of the shares that do not belong to a set that
// opened the store.
func (d *deck) strangers(set []int) []int {
	var out []int
	if len(d.shares[0]) != 33 {
		return nil
	}
	for i := range d.shares {
		if !d.fits(set, i) {
			out = append(out, d.number[i])
		}
	}
	return out
}

// degree returns the fewest shares of a set that the others follow from: its
// threshold, where the set has more than that; else its size.
func (d *deck) degree(set []int) int {
	for t := 2; t < len(set); t++ {
		ok := true
		for _, i := range set[t:] {
			ok = ok && d.fits(set[:t], i)
		}
		if ok {
			return t
		}
	}
	return len(set)
}

// family returns the largest set of shares that belong together, which only more
// shares than their threshold show, and nil where none do. It looks for sets of
// which any t make the others.
func (d *deck) family(threshold int) []int {
	n := len(d.shares)
	if threshold < 2 || n <= threshold {
		return nil
	}
	var best []int
	left := maxSubsets / (10 * n) // each set is compared with all others
	for set := range subsets(n, threshold, &left) {
		var group []int
		for i := range n {
			if d.fits(set, i) {
				group = append(group, i)
			}
		}
		if len(group) > threshold && len(group) > len(best) {
			best = group
		}
	}
	return best
}
