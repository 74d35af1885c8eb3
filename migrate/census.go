package migrate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
)

// A Tally is a number of items, and of the bytes of their ciphertexts as they
// are stored.
type Tally struct {
	Items int64
	Bytes int64
}

// A Census is what a source holds, by the term that each item names. Nothing is
// decrypted for it.
type Census struct {
	// Terms has every term of the keyring, also one that nothing is under.
	Terms map[uint32]Tally

	// Unknown is what looks like the keyring's and is under none of its terms:
	// they are retired, another store's, or younger than what this process
	// has; or it is cut. One in 256 binary legacy values looks like it.
	Unknown Tally

	// Other is what is not in the keyring's format: legacy values.
	Other Tally

	// Empty is how many items hold nothing, such as NULL: there is nothing to
	// encrypt.
	Empty int64
}

// Total is the sum of all that hold something.
func (c Census) Total() Tally {
	t := c.Unknown
	t.Items += c.Other.Items
	t.Bytes += c.Other.Bytes
	for _, u := range c.Terms {
		t.Items += u.Items
		t.Bytes += u.Bytes
	}
	return t
}

// Counts are the numbers of items by term, for a metric: "1" and so on, "unknown",
// "legacy" and "empty".
func (c Census) Counts() map[string]int64 {
	counts := map[string]int64{"unknown": c.Unknown.Items, "legacy": c.Other.Items, "empty": c.Empty}
	for term, t := range c.Terms {
		counts[strconv.FormatUint(uint64(term), 10)] = t.Items
	}
	return counts
}

// countPage is how many items a count reads at a time.
const countPage = 256

// Count takes a census of the sources. Items that come and go while it counts
// may be in it or not. The errors are [keyring.ErrSealed], that of ctx, a
// [*SourceError], and [seal.ErrConfig] for no sources: nobody looked, which is
// not that nothing is there.
func Count(ctx context.Context, kr *keyring.Keyring, sources ...Source) (Census, error) {
	if len(sources) == 0 {
		return Census{}, fmt.Errorf("migrate: count: %w: no sources to count: name every one", seal.ErrConfig)
	}
	c := Census{Terms: map[uint32]Tally{}}
	for _, src := range sources {
		if err := c.add(ctx, kr, src); err != nil {
			if _, named := err.(*SourceError); !named {
				err = fmt.Errorf("migrate: count: %w", err)
			}
			return Census{}, err
		}
	}
	return c, nil
}

func (c *Census) add(ctx context.Context, kr *keyring.Keyring, src Source) error {
	if counter, ok := src.(Counter); ok {
		return c.addHeads(ctx, kr, counter)
	}
	for after := ""; ; {
		ids, err := c.terms(kr) // anew for each page: another may come
		if err != nil {
			return err
		}
		page, err := readPage(ctx, src, after, countPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, item := range page {
			head, _ := headOf(item.Ciphertext)
			size := int64(len(item.Ciphertext))
			if len(head) < headSize {
				head = head[:min(len(head), 1)] // no ciphertext, whatever it names
			}
			c.tally(ids, item.Ciphertext, head, Tally{1, size})
		}
		after = page[len(page)-1].ID
	}
}

// addHeads has the source count.
func (c *Census) addHeads(ctx context.Context, kr *keyring.Keyring, src Counter) error {
	if _, err := kr.Active(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	heads, err := src.Heads(ctx)
	if err != nil {
		return &SourceError{"count", "", err}
	}
	ids, err := c.terms(kr) // after it: what was written meanwhile is under these
	if err != nil {
		return err
	}
	for _, h := range heads {
		head, _ := headOf(h.Begin)
		c.tally(ids, h.Begin, head, h.Tally)
	}
	return nil
}

// terms returns the key ids of the keyring's terms, and has each in the census.
func (c *Census) terms(kr *keyring.Keyring) (map[uint32][4]byte, error) {
	if _, err := kr.Active(); err != nil {
		return nil, err
	}
	ids := map[uint32][4]byte{}
	for _, t := range kr.Terms() {
		ids[t.Number] = t.KeyID
		if _, ok := c.Terms[t.Number]; !ok {
			c.Terms[t.Number] = Tally{}
		}
	}
	return ids, nil
}

// tally adds items that begin alike: with begin as they are stored, and with head
// where that is text.
func (c *Census) tally(ids map[uint32][4]byte, begin, head []byte, t Tally) {
	plus := func(to Tally) Tally { return Tally{to.Items + t.Items, to.Bytes + t.Bytes} }
	if len(begin) == 0 {
		c.Empty += t.Items
		return
	}
	term, known := named(ids, head)
	switch {
	case known:
		c.Terms[term] = plus(c.Terms[term])
	case bytes.HasPrefix(begin, textPrefix), head[0] == 1, head[0] == 2:
		c.Unknown = plus(c.Unknown)
	default:
		c.Other = plus(c.Other)
	}
}

// Where a ciphertext names its key, by keyring/FORMAT.md.
const (
	keyIDAt  = 5
	keyIDEnd = 9
	headSize = 41 // version ‖ term ‖ key id ‖ salt ‖ commitment
)

// named returns the term that the beginning of a ciphertext names, if the keyring
// has it by number and key id. A message or a stream begins with 1 or 2.
func named(ids map[uint32][4]byte, head []byte) (term uint32, known bool) {
	if len(head) < keyIDEnd || head[0] != 1 && head[0] != 2 {
		return 0, false
	}
	term = binary.BigEndian.Uint32(head[1:])
	id, found := ids[term]
	return term, found && bytes.Equal(id[:], head[keyIDAt:keyIDEnd])
}

// headOf returns the beginning of a ciphertext, also of one that is text.
func headOf(stored []byte) (head []byte, text bool) {
	body, text := bytes.CutPrefix(stored, textPrefix)
	if !text {
		return stored, false
	}
	body = body[:min(len(body), base64.RawURLEncoding.EncodedLen(headSize))]
	head = make([]byte, base64.RawURLEncoding.DecodedLen(len(body)))
	n, _ := base64.RawURLEncoding.Decode(head, body) // n is where it ends to be base64
	return head[:n], true
}

// An InUseError says that a term is not retired, because items are still under
// it. It is [seal.ErrTermInUse] by errors.Is.
type InUseError struct {
	Term    uint32
	Total   Tally
	Sources []Tally // of each source, in the order given
}

// Error names the term and how much is under it.
func (e *InUseError) Error() string {
	in := 0
	for _, t := range e.Sources {
		if t.Items > 0 {
			in++
		}
	}
	return fmt.Sprintf("migrate: retire: term %d is in use: %d items, %d bytes, in %d of %d sources: rewrap them first",
		e.Term, e.Total.Items, e.Total.Bytes, in, len(e.Sources))
}

// Unwrap returns [seal.ErrTermInUse].
func (e *InUseError) Unwrap() error { return seal.ErrTermInUse }

// Retire removes a term that nothing is under any more: it counts the sources
// anew, and refuses with an [*InUseError] if one still holds an item of the
// term. Sources are all places with ciphertexts of this store; what is in none
// of them, such as a backup of the data, is not counted and is lost with the
// term.
//
// It refuses the active term, and one that is not active yet, with
// [seal.ErrTermInUse], a call without sources with [seal.ErrConfig], and, before
// it counts, one with [seal.ErrPropagating] while another process may not have
// noticed the last rotation and still writes under the term before.
// The other errors are those of [Count] and [seal.Admin.RetireUncounted].
func Retire(ctx context.Context, b *seal.Barrier, term uint32, by seal.By, sources ...Source) error {
	if len(sources) == 0 {
		return fmt.Errorf("migrate: retire: %w: no sources to count: name every one, or call seal.Admin.RetireUncounted", seal.ErrConfig)
	}
	if err := b.Admin().Refresh(ctx); err != nil {
		return fmt.Errorf("migrate: retire: %w", err)
	}
	for _, t := range b.Status().Terms {
		if t.Number == term && t.State == seal.TermPassive {
			return fmt.Errorf("migrate: retire: %w: term %d is passive: it is the one that is to encrypt, when each replica has it", seal.ErrTermInUse, term)
		}
	}
	if err := b.Admin().CheckRetire(ctx, term); err != nil {
		return fmt.Errorf("migrate: retire: %w", err)
	}
	use := &InUseError{Term: term}
	for _, src := range sources {
		c, err := Count(ctx, b.Keyring(), src)
		if err != nil {
			return err
		}
		t := c.Terms[term]
		use.Sources = append(use.Sources, t)
		use.Total = Tally{use.Total.Items + t.Items, use.Total.Bytes + t.Bytes}
	}
	if use.Total.Items > 0 {
		return use
	}
	return b.Admin().RetireUncounted(ctx, term, by)
}
