package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
)

// RewrapOptions are how [Rewrap] goes through a source. The zero value goes
// through all of it, as fast as it can.
type RewrapOptions struct {
	// After is where to go on: the [Progress.After] of a run before. Empty:
	// from the beginning.
	After string

	// Legacy, if set, reads the items that the keyring did not encrypt, and
	// they become the keyring's. It must be of the same keyring.
	Legacy *Legacy

	// Confirm is asked once, before the first legacy value is replaced, with some
	// of what would be encrypted: an error ends the run. It compares them with
	// what the server reads, or shows them to somebody who knows. It is required
	// unless the Legacy has a Sample or a Decrypt of the server's own. It keeps
	// nothing.
	Confirm func(sample []Adoption) error

	// ItemsPerSecond and BytesPerSecond bound how much is read; both hold.
	// Zero: no limit.
	ItemsPerSecond float64
	BytesPerSecond float64

	// PageSize is how many items are read at a time, and held in memory. Zero:
	// 100. Where ItemsPerSecond is less, that many.
	PageSize int

	// Wait, if set, waits in place of a timer.
	Wait func(context.Context, time.Duration) error
}

// An Adoption is what [Rewrap] is about to make of a legacy value.
type Adoption struct {
	ID        string
	Plaintext []byte // a secret
}

// Progress is how far [Rewrap] has come. Items is always the sum of Rewrapped,
// Current and Failed.
type Progress struct {
	After     string // everything up to this id is dealt with; "" if nothing is
	Done      bool   // the source has no more items
	Items     int64  // dealt with in this run
	Bytes     int64  // their length as they were read
	Rewrapped int64  // re-encrypted under the active term
	Legacy    int64  // how many of those were legacy values
	Current   int64  // were under the active term already, or a younger one
	Failed    int64  // left as they are, each with an [ItemError]
	Changed   int64  // times that a live write came between; it won
	Empty     int64  // NULL or empty: nothing to encrypt, and not among Items
}

// Rewrap re-encrypts the items of a source under the active term of the
// keyring, so that older terms can be retired, while the server reads and
// writes them. It yields its progress after each page; the last is Done.
//
//	for p, err := range migrate.Rewrap(ctx, kr, src, migrate.RewrapOptions{After: saved}) {
//		if bad, ok := errors.AsType[*migrate.ItemError](err); ok {
//			log.Print(bad) // and go on; to stop at the first, return
//		} else if err != nil {
//			return err
//		}
//		save(p.After)
//	}
//
// An item that cannot be rewrapped is left as it is and yielded with an
// [*ItemError]; p.After is still before it, so that a run which stops there
// begins with it again. Any other error ends the sequence: a [*SourceError],
// [keyring.ErrSealed], [keyring.ErrExhausted], [seal.ErrConfig] for options
// that can never work, and that of ctx.
//
// Every change is a compare-and-set of one item: a write by others in between
// wins, and the item is looked at again. A run can therefore be interrupted at
// any point, and goes on after the last id saved, or any before; items that are
// under the active term are read and not written again. Several runs at the
// same time only do the work twice.
//
// Items written behind the run are under the active term if every process knows
// it, and a rotation in the midst calls for another run: [Count] tells. Streams
// are not rewrapped but copied, with [keyring.Keyring.NewReader] and NewWriter.
func Rewrap(ctx context.Context, kr *keyring.Keyring, src Source, opt RewrapOptions) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		r := run{kr: kr, src: src, opt: opt, p: Progress{After: opt.After}, yield: yield}
		if err := r.prepare(); err != nil {
			yield(r.p, err)
			return
		}
		if err := r.all(ctx); err != nil && err != errStopped {
			yield(r.p, err)
		}
	}
}

// A run is one walk through a source.
type run struct {
	kr    *keyring.Keyring
	src   Source
	opt   RewrapOptions
	yield func(Progress, error) bool

	p    Progress
	pace pace

	confirmed bool

	buf   []byte // for the new ciphertext
	lost  string // the item whose replacement came too late last
	times int    // in a row
}

// tries is how often an item that others change is tried.
const tries = 3

var (
	errStopped = errors.New("stopped by the caller")
	errAgain   = errors.New("read the item again")
)

func (r *run) prepare() error {
	o := &r.opt
	for _, rate := range []float64{o.ItemsPerSecond, o.BytesPerSecond} {
		if rate < 0 || math.IsNaN(rate) {
			return fmt.Errorf("migrate: rewrap: %w: a rate is %v: it is positive, or 0 for none", seal.ErrConfig, rate)
		}
	}
	if o.PageSize < 0 {
		return fmt.Errorf("migrate: rewrap: %w: PageSize is %d: it is positive, or 0 for 100", seal.ErrConfig, o.PageSize)
	}
	if o.Legacy != nil && o.Legacy.kr != r.kr {
		return fmt.Errorf("migrate: rewrap: %w: Legacy is of another keyring", seal.ErrConfig)
	}
	if o.Legacy != nil && !o.Legacy.proven && o.Confirm == nil {
		return fmt.Errorf("migrate: rewrap: %w: nothing says that Legacy reads what the server means, and what it reads becomes authentic: give LegacyConfig a Sample, or set Confirm", seal.ErrConfig)
	}
	if o.PageSize == 0 {
		o.PageSize = 100
	}
	if o.ItemsPerSecond > 0 && o.ItemsPerSecond < float64(o.PageSize) {
		o.PageSize = max(1, int(o.ItemsPerSecond)) // so that progress shows every second
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	r.pace = pace{items: o.ItemsPerSecond, bytes: o.BytesPerSecond, wait: o.Wait}
	return nil
}

func (r *run) all(ctx context.Context) error {
	for {
		page, err := readPage(ctx, r.src, r.p.After, r.opt.PageSize)
		if err != nil {
			return wrapRewrap(err)
		}
		if err := r.confirm(page); err != nil {
			return wrapRewrap(err)
		}
		r.p.Done = len(page) == 0
		for i := range page {
			if err = r.item(ctx, &page[i]); err != nil {
				break
			}
		}
		if err != nil && err != errAgain {
			return wrapRewrap(err)
		}
		if !r.yield(r.p, nil) || r.p.Done {
			return errStopped
		}
	}
}

// confirmed is how many legacy values Confirm sees.
const confirmed = 10

// confirm asks Confirm about the first legacy values that a page has.
func (r *run) confirm(page []Item) error {
	if r.opt.Legacy == nil || r.opt.Confirm == nil || r.confirmed {
		return nil
	}
	var sample []Adoption
	defer func() {
		for i := range sample {
			clear(sample[i].Plaintext)
		}
	}()
	for i := range page {
		if plaintext, ok := r.opt.Legacy.legacy(page[i].Ciphertext, page[i].AAD); ok {
			sample = append(sample, Adoption{page[i].ID, plaintext})
		}
		if len(sample) == confirmed {
			break
		}
	}
	if len(sample) == 0 {
		return nil
	}
	r.confirmed = true
	if err := r.opt.Confirm(sample); err != nil {
		return fmt.Errorf("the legacy values are not confirmed, and nothing of them was changed: %w", err)
	}
	return nil
}

// item deals with one item. It returns errAgain if the page is not what is
// stored any more, and otherwise only errors that end the run.
func (r *run) item(ctx context.Context, item *Item) error {
	if err := r.pace.spend(ctx, len(item.Ciphertext)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(item.Ciphertext) == 0 {
		r.p.After = item.ID
		r.p.Empty++
		return nil
	}
	out, outcome, err := rewrapStored(r.kr, r.opt.Legacy, r.buf[:0], item.Ciphertext, item.AAD)
	if errors.Is(err, keyring.ErrSealed) || errors.Is(err, keyring.ErrExhausted) {
		return err
	}
	if err == nil && outcome != current {
		r.buf = out
		replaced, failed := r.src.Replace(ctx, item.ID, item.Ciphertext, out)
		if failed != nil {
			return &SourceError{"replace", item.ID, failed}
		}
		if !replaced {
			r.p.Changed++
			if r.lost != item.ID {
				r.lost, r.times = item.ID, 0
			}
			if r.times++; r.times < tries {
				return errAgain
			}
			err = ErrChanged
		}
	}
	if err != nil && !r.yield(r.p, &ItemError{item.ID, err}) {
		return errStopped
	}
	r.count(item, outcome, err)
	return nil
}

func (r *run) count(item *Item, outcome outcome, err error) {
	r.p.After = item.ID
	r.p.Items++
	r.p.Bytes += int64(len(item.Ciphertext))
	switch {
	case err != nil:
		r.p.Failed++
	case outcome == current:
		r.p.Current++
	default:
		r.p.Rewrapped++
		if outcome == adopted {
			r.p.Legacy++
		}
	}
}

func wrapRewrap(err error) error {
	if _, named := err.(*SourceError); named || err == errStopped {
		return err
	}
	return fmt.Errorf("migrate: rewrap: %w", err)
}

// An outcome is what became of a stored value.
type outcome int

const (
	current   outcome = iota // it stays as it is
	rewrapped                // it was under an older term
	adopted                  // it was a legacy value
)

// textPrefix is what tells text from binary: no binary ciphertext begins so.
var textPrefix = []byte("sw1.")

// rewrapStored re-encrypts a value in the form in which it is stored.
func rewrapStored(kr *keyring.Keyring, legacy *Legacy, dst, stored, aad []byte) ([]byte, outcome, error) {
	out, changed, err := rewrapOurs(kr, dst, stored, aad)
	switch {
	case err == nil && changed:
		return out, rewrapped, nil
	case err == nil:
		return out, current, nil
	case legacy != nil && legacy.takes(stored, err):
		out, err = legacy.adopt(dst, stored, aad, err)
		return out, adopted, err
	}
	return nil, current, err
}

func rewrapOurs(kr *keyring.Keyring, dst, stored, aad []byte) ([]byte, bool, error) {
	if !bytes.HasPrefix(stored, textPrefix) {
		return kr.Rewrap(dst, stored, aad)
	}
	text, changed, err := kr.RewrapString(string(stored), aad)
	return append(dst, text...), changed, err
}
