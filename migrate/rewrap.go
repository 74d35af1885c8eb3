package migrate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/sealwright/sealwright/internal/wait"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
)

// RewrapOptions are how [Rewrap] goes through a source. The zero value goes
// through all of it, as fast as one worker can.
type RewrapOptions struct {
	// After is where to go on: the [Progress.After] of a run before, under the
	// same active term. Empty: from the beginning, or from where Bookmark says.
	After string

	// Bookmark, if set, keeps how far a run has come, so that the next one goes
	// on there by itself. What it kept of a run under another term is not used.
	Bookmark Bookmark

	// Legacy, if set, reads the items that the keyring did not encrypt, and
	// they become the keyring's. It must be of the same keyring.
	Legacy *Legacy

	// Confirm is asked once, before the first legacy value is replaced, with some
	// of what would be encrypted: an error ends the run. It compares them with
	// what the server reads, or shows them to somebody who knows. It is required
	// unless the Legacy has a Sample or a Decrypt of the server's own. It keeps
	// nothing.
	Confirm func(sample []Adoption) error

	// Workers is how many pages are worked on at the same time. Zero: one, on the
	// goroutine of the caller. Two to four hide the round trips to a database;
	// every one holds a page in memory, and a connection.
	Workers int

	// ItemsPerSecond and BytesPerSecond bound how much is read; both hold.
	// Zero: no limit.
	ItemsPerSecond float64
	BytesPerSecond float64

	// Throttle, if set, is asked before each page: how long to wait before it is
	// asked again, or 0 to go on. It looks at what the host's database bears, such
	// as how far its replicas lag. Its error ends the run.
	Throttle func(context.Context) (time.Duration, error)

	// PageSize is how many items are read, and replaced in one batch, at most.
	// Zero: 100, and of a [Batcher] up to 5,000, as BatchTime lets it. A page
	// grows to no more than about half a mebibyte, and to what ItemsPerSecond allows
	// in a fiftieth of a second.
	PageSize int

	// BatchTime is how long a batch should take, during which it holds its rows
	// against writers. Zero: 100 ms. Pages grow and shrink to it; a batch that
	// takes ten times as long is canceled, and tried again by halves.
	BatchTime time.Duration

	// Wait, if set, waits in place of a timer.
	Wait func(context.Context, time.Duration) error
}

// An Adoption is what [Rewrap] is about to make of a legacy value.
type Adoption struct {
	ID        string
	Plaintext []byte // a secret
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
// that can never work, and that of ctx. A source that is [ErrUnavailable] is
// tried again for a minute.
//
// Every change is a compare-and-set of one item, also within a batch: a write by
// others in between wins, and the item is looked at again. A run can therefore be
// interrupted at any point, and goes on after the last id saved, or any before;
// items that are under the active term are read and not written again. Several
// runs at the same time only do the work twice. When the loop has ended, so has
// everything that it began.
//
// Items written behind the run are under the active term if every process knows
// it, and a rotation in the midst calls for another run: [Count] tells. Streams
// are not rewrapped but copied, with [keyring.Keyring.NewReader] and NewWriter.
func Rewrap(ctx context.Context, kr *keyring.Keyring, src Source, opt RewrapOptions) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		r := run{kr: kr, src: src, opt: opt, p: Progress{After: opt.After}, yield: yield, began: time.Now()}
		err := r.prepare(ctx)
		if err == nil {
			err = r.all(ctx)
		}
		if err != nil && err != errStopped {
			yield(r.p, wrapRewrap(err))
		}
	}
}

// A run is one walk through a source, on the goroutine of the caller. Its workers
// see its fixed fields alone.
type run struct {
	kr    *keyring.Keyring
	src   Source
	batch Batcher // nil if the source is none
	opt   RewrapOptions
	yield func(Progress, error) bool
	began time.Time

	p         Progress
	pace      pace
	size      size
	mark      mark
	confirmed bool
}

var errStopped = errors.New("stopped by the caller")

func (r *run) prepare(ctx context.Context) error {
	o := &r.opt
	if err := o.check(r.kr); err != nil {
		return err
	}
	r.batch, _ = r.src.(Batcher)
	r.size = newSize(*o, r.batch != nil)
	if o.Wait == nil {
		o.Wait = wait.For
	}
	if o.BatchTime == 0 {
		o.BatchTime = batchTime
	}
	o.Workers = max(1, o.Workers)
	r.pace = pace{items: o.ItemsPerSecond, bytes: o.BytesPerSecond, wait: o.Wait}
	if o.Bookmark != nil {
		if err := r.open(ctx); err != nil {
			return err
		}
	}
	if e, ok := r.src.(Estimator); ok {
		// It is for people to look at: a run does not end for the want of it.
		r.p.Total, _ = e.Estimate(ctx)
	}
	return nil
}

func (o *RewrapOptions) check(kr *keyring.Keyring) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", seal.ErrConfig, fmt.Sprintf(format, args...))
	}
	for _, rate := range []float64{o.ItemsPerSecond, o.BytesPerSecond} {
		if rate < 0 || math.IsNaN(rate) {
			return refuse("a rate is %v: it is positive, or 0 for none", rate)
		}
	}
	switch {
	case o.PageSize < 0:
		return refuse("PageSize is %d: it is positive, or 0 for what fits", o.PageSize)
	case o.Workers < 0 || o.Workers > maxWorkers:
		return refuse("Workers is %d: it is at most %d, or 0 for one", o.Workers, maxWorkers)
	case o.BatchTime < 0:
		return refuse("BatchTime is %v: it is positive, or 0 for %v", o.BatchTime, batchTime)
	case o.Legacy != nil && o.Legacy.kr != kr:
		return refuse("Legacy is of another keyring")
	case o.Legacy != nil && !o.Legacy.proven && o.Confirm == nil:
		return refuse("nothing says that Legacy reads what the server means, and what it reads becomes authentic: give LegacyConfig a Sample, or set Confirm")
	}
	return nil
}

// all keeps as many pages in flight as there are workers, and deals with them in
// their order, so that everything up to After is dealt with.
func (r *run) all(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var flight []*span
	defer func() {
		cancel()
		for _, s := range flight {
			<-s.done
		}
	}()
	read := r.p.After // as far as pages were read
	var end error     // why no more are
	for {
		for end == nil && len(flight) < r.opt.Workers {
			var s *span
			if s, end = r.next(ctx, read); end == nil {
				read = s.items[len(s.items)-1].ID
				flight = append(flight, s)
				r.start(ctx, s)
			}
		}
		if len(flight) == 0 {
			return r.finish(ctx, end)
		}
		s := flight[0]
		<-s.done
		flight = flight[1:]
		if err := r.settle(ctx, s); err != nil {
			return err
		}
	}
}

// errEnd says that the source has no more items.
var errEnd = errors.New("the end")

func (r *run) finish(ctx context.Context, end error) error {
	if end != errEnd {
		return end
	}
	r.p.Done, r.p.Elapsed = true, time.Since(r.began)
	if err := r.save(ctx, true); err != nil {
		return err
	}
	r.yield(r.p, nil)
	return nil
}

// next reads the page after an id, when it is time to.
func (r *run) next(ctx context.Context, after string) (*span, error) {
	if err := r.throttle(ctx); err != nil {
		return nil, err
	}
	page, err := r.readAgain(ctx, after, r.size.n)
	if err != nil {
		return nil, err
	}
	if len(page) == 0 {
		return nil, errEnd
	}
	if err := r.confirm(page); err != nil {
		return nil, err
	}
	s := newSpan(after, page)
	r.pace.charge(len(page), s.stored)
	return s, nil
}

func (r *run) throttle(ctx context.Context) error {
	if err := r.pace.pay(ctx); err != nil {
		return err
	}
	for r.opt.Throttle != nil {
		d, err := r.opt.Throttle(ctx)
		if err != nil {
			return fmt.Errorf("throttle: %w", err)
		}
		if d <= 0 {
			break
		}
		if err := r.opt.Wait(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// start has a page worked on. What panics is the source or the host's function,
// and it does so in the host's goroutine, as it would without workers.
func (r *run) start(ctx context.Context, s *span) {
	if r.opt.Workers == 1 {
		defer close(s.done)
		r.work(ctx, s)
		return
	}
	go func() {
		defer close(s.done)
		defer func() { s.panicked = recover() }()
		r.work(ctx, s)
	}()
}

// settle takes over what became of a page, in the order of its items.
func (r *run) settle(ctx context.Context, s *span) error {
	if s.panicked != nil {
		panic(s.panicked)
	}
	r.size.learn(s)
	r.p.Changed += s.changed
	for i := range s.items {
		v := s.verdicts[i]
		if !v.settled {
			break // s.err says why
		}
		if v.err != nil && !r.yield(r.p, &ItemError{s.items[i].ID, v.err}) {
			return r.stopped(ctx)
		}
		r.p.count(s.items[i].ID, s.sizes[i], v)
	}
	r.p.Elapsed = time.Since(r.began)
	if err := r.save(ctx, false); err != nil && s.err == nil {
		return err
	}
	if s.err != nil {
		return s.err
	}
	if !r.yield(r.p, nil) {
		return r.stopped(ctx)
	}
	return nil
}

// stopped is what ends a run that its caller has left.
func (r *run) stopped(ctx context.Context) error {
	r.mark.saved = time.Time{}
	_ = r.save(ctx, false) // nobody is there to be told; the mark of before will do
	return errStopped
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

func wrapRewrap(err error) error {
	if _, named := err.(*SourceError); named {
		return err
	}
	return fmt.Errorf("migrate: rewrap: %w", err)
}
