package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/seal"
)

// Run writes again what could not be written, calls [Config.OnFailure], and moves
// on the head in [Config.Heads], until ctx ends, whose error it returns, or Close,
// whose line's head it keeps as well: then it returns [ErrClosed]. So have it end by
// Close. Without it events are written, and what failed is tried again with the next one.
func (j *Journal) Run(ctx context.Context) error {
	var beside sync.WaitGroup // what calls the host's code, which may hang
	defer beside.Wait()
	telling, cancel := context.WithCancel(ctx)
	defer cancel()
	if j.cfg.Heads != nil {
		beside.Go(func() { j.keepHeads(ctx) })
	}
	news := make(chan struct{}, 1)
	if j.cfg.OnFailure != nil {
		beside.Go(func() { j.tellNews(telling, news) })
	}
	const first, longest = time.Second, 30 * time.Second
	pause := first
	for {
		select {
		case news <- struct{}{}:
		default:
		}
		var again <-chan time.Time
		if j.failing() {
			again, pause = time.After(pause), min(2*pause, longest)
		} else {
			pause = first
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-j.life.Done():
			return ErrClosed
		case <-j.wake:
		case <-again:
			j.mu.Lock()
			j.begin()
			j.mu.Unlock()
		}
	}
}

func (j *Journal) failing() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.status.Err != nil
}

// tellNews calls the host, without a lock and from no event's goroutine: it may
// call the Barrier. One that hangs keeps Run neither from writing nor from its end.
func (j *Journal) tellNews(ctx context.Context, news <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-news:
		}
		for err := j.nextNews(); err != nil && ctx.Err() == nil; err = j.nextNews() {
			// A panic of the host's is no reason to stop.
			_, _ = bounded.Through(ctx, j.telling, func(context.Context) (struct{}, error) { j.cfg.OnFailure(err); return struct{}{}, nil })
		}
	}
}

func (j *Journal) nextNews() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.news) == 0 {
		return nil
	}
	err := j.news[0]
	j.news = j.news[1:]
	return err
}

// keepHeads keeps the newest head where the host said.
func (j *Journal) keepHeads(ctx context.Context) {
	const first, longest = time.Second, time.Minute
	var kept Head
	for pause := first; ; {
		j.mu.Lock()
		head, moved := j.status.Head, j.moved
		j.mu.Unlock()
		var again <-chan time.Time
		if head.Seq > 0 && head != kept {
			err := j.keepHead(ctx, callBound, kept, head)
			j.mu.Lock()
			j.status.Heads = err
			j.mu.Unlock()
			switch {
			case errors.Is(err, ErrCut):
				return
			case err != nil:
				again, pause, moved = time.After(pause), min(2*pause, longest), nil
			default:
				kept, pause = head, first
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-j.life.Done():
			j.keepLast(ctx, kept)
			return
		case <-moved:
		case <-again:
		}
	}
}

// keepLast keeps the head of the line that Close wrote: without it that could be cut off.
func (j *Journal) keepLast(ctx context.Context, kept Head) {
	head := j.Status().Head
	if head.Seq == 0 || head == kept {
		return
	}
	err := j.keepHead(ctx, j.cfg.Wait, kept, head)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status.Heads = err
}

// keepHead puts a head in the place of the one kept, once it has seen that the line
// of that is there.
func (j *Journal) keepHead(ctx context.Context, bound time.Duration, kept, head Head) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	_, err := bounded.Through(ctx, j.keeping, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, j.moveHead(ctx, kept, head)
	})
	return err
}

func (j *Journal) moveHead(ctx context.Context, kept, head Head) error {
	text, revision, err := j.cfg.Heads.Load(ctx)
	if errors.Is(err, seal.ErrNotFound) {
		text, revision, err = nil, "", nil
	}
	if err != nil {
		return fmt.Errorf("journal: load the head kept elsewhere: %w", err)
	}
	if len(text) > 0 {
		there, err := ParseHead(string(text))
		if err != nil {
			return fmt.Errorf("journal: what is kept elsewhere: %w", err)
		}
		if there != kept && there != head {
			if err := j.look(ctx, there); err != nil {
				return err
			}
		}
		if there == head {
			return nil
		}
	}
	if _, err := j.cfg.Heads.Swap(ctx, []byte(head.String()+"\n"), revision); err != nil {
		return fmt.Errorf("journal: keep the head elsewhere: %w", err)
	}
	return nil
}

// look looks for the line of a head that a process before this one kept.
func (j *Journal) look(ctx context.Context, head Head) error {
	there, err := find(ctx, j.cfg.Place, head)
	if err != nil || there {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.missing(head)
	j.queue = append(j.queue, line{Version: version, Time: formatTime(time.Now()), Kind: string(KindMissing), Replica: cut(j.cfg.Name, maxName), Head: head.String()})
	j.accepted++
	j.begin()
	return j.status.Missing
}
