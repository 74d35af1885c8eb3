package migrate

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

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

	Before  int64         // dealt with by the runs before, or empty, as the [Bookmark] has it
	Total   int64         // about how many items there are, by an [Estimator]; 0 if that is not known
	Elapsed time.Duration // since this run began
}

// Outcomes are the numbers of items by what became of them, for a metric.
func (p Progress) Outcomes() map[string]int64 {
	return map[string]int64{
		"rewrapped": p.Rewrapped - p.Legacy,
		"adopted":   p.Legacy,
		"current":   p.Current,
		"failed":    p.Failed,
		"empty":     p.Empty,
	}
}

// Left is about how many items are left, or -1 if that is not known.
func (p Progress) Left() int64 {
	switch {
	case p.Done:
		return 0
	case p.Total == 0:
		return -1
	}
	return max(0, p.Total-p.Before-p.Items-p.Empty)
}

// Rate is how many items a second this run has dealt with.
func (p Progress) Rate() float64 {
	if p.Elapsed <= 0 {
		return 0
	}
	return float64(p.Items) / p.Elapsed.Seconds()
}

// TimeLeft is about how long it takes yet, or -1 if that is not known.
func (p Progress) TimeLeft() time.Duration {
	left, rate := p.Left(), p.Rate()
	switch {
	case left == 0:
		return 0
	case left < 0 || rate == 0:
		return -1
	}
	const longest = 1 << 31 // seconds, so that no duration overflows
	return time.Duration(min(float64(left)/rate, longest) * float64(time.Second))
}

func (p *Progress) count(id string, size int, v verdict) {
	p.After = id
	switch {
	case v.gone:
		return
	case v.empty:
		p.Empty++
		return
	case v.err != nil:
		p.Failed++
	case v.outcome == current:
		p.Current++
	default:
		p.Rewrapped++
		if v.outcome == adopted {
			p.Legacy++
		}
	}
	p.Items++
	p.Bytes += int64(size)
}

// A Bookmark keeps a line of text for [Rewrap]: how far it has come through one
// source. Package sqlsource has one in a table.
type Bookmark interface {
	Load(ctx context.Context) (string, error) // what was saved last, or ""
	Save(ctx context.Context, text string) error
}

// A mark is what a bookmark holds: the term, the items dealt with, and the last
// id. Under another term everything is to be read again.
type mark struct {
	term  uint32
	saved time.Time
}

// saveEvery is how much of the work is done again after a crash, at most: it is
// read and found done.
const saveEvery = time.Second

// open goes on where the bookmark says.
func (r *run) open(ctx context.Context) error {
	active, err := r.kr.Active()
	if err != nil {
		return err
	}
	r.mark = mark{term: active.Number, saved: time.Now()}
	if r.opt.After != "" {
		return nil
	}
	text, err := r.opt.Bookmark.Load(ctx)
	if err != nil {
		return fmt.Errorf("read the bookmark: %w", err)
	}
	term, rest, _ := strings.Cut(text, " ")
	items, after, ok := strings.Cut(rest, " ")
	n, err := strconv.ParseInt(items, 10, 64)
	if ok && err == nil && n >= 0 && term == strconv.FormatUint(uint64(r.mark.term), 10) {
		r.p.After, r.p.Before = after, n
	}
	return nil
}

// save keeps how far it has come; at the end, that there is nothing to go on with.
func (r *run) save(ctx context.Context, end bool) error {
	if r.opt.Bookmark == nil || !end && time.Since(r.mark.saved) < saveEvery {
		return nil
	}
	r.mark.saved = time.Now()
	text := fmt.Sprintf("%d %d %s", r.mark.term, r.p.Before+r.p.Items+r.p.Empty, r.p.After)
	if end {
		text = ""
	}
	if err := r.opt.Bookmark.Save(ctx, text); err != nil {
		return fmt.Errorf("save the bookmark: %w", err)
	}
	return nil
}
