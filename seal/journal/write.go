package journal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	batchLines = 64 // written at once
	callBound  = 15 * time.Second
)

// A desk is what a round writes with. It is kept from one to the next.
type desk struct {
	shelf shelf
	wrote bool     // this process has, so that it does not begin once more
	last  Head     // of the last line there
	batch [][]byte // encoded, and perhaps there in part
	heads []Head   // of its lines
}

func (d *desk) leave() {
	if d.shelf != nil {
		d.shelf.close()
	}
	d.shelf = nil
}

// write writes all that waits. No two are under way.
func (j *Journal) write(ctx context.Context) error {
	for moves := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if j.desk.shelf == nil {
			if err := j.open(ctx); err != nil {
				return fmt.Errorf("journal: open %s: %w", j.cfg.Place, err)
			}
		}
		some, err := j.encode()
		if err != nil {
			j.desk.leave() // where it is moved aside, the next try finds another
			return fmt.Errorf("journal: write to %s: %w", j.cfg.Place, err)
		}
		if !some {
			j.mu.Lock()
			done := len(j.queue) == 0 && !j.rotate
			j.mu.Unlock()
			if done {
				return nil
			}
		}
		n, err := j.put(ctx)
		if errors.Is(err, errMoved) {
			j.wrote(n)
			j.desk.leave()
			j.forget()
			if moves++; moves < 4 {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("journal: write to %s: %w", j.cfg.Place, err)
		}
		j.wrote(n)
		j.turnOver()
	}
}

// forget takes the batch back, to be encoded anew.
func (j *Journal) forget() {
	j.desk.batch, j.desk.heads = nil, nil
	j.mu.Lock()
	j.encoded = 0
	j.mu.Unlock()
}

func (j *Journal) put(ctx context.Context) (n int, err error) {
	if len(j.desk.batch) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	return j.desk.shelf.put(ctx, j.desk.batch)
}

// open opens the place, and has the journal say that it was opened, or again, what a crash
// left there, and whether the last line that was written is gone.
func (j *Journal) open(ctx context.Context) error {
	shelf, end, err := j.cfg.Place.open(ctx)
	if err != nil {
		return err
	}
	if err := checkSeq(end.last); err != nil {
		shelf.close()
		return err
	}
	var own []line
	if end.torn.sum != nil {
		own = append(own, line{Kind: string(KindTorn), Count: uint64(end.torn.size), SHA256: hex.EncodeToString(end.torn.sum.Sum(nil))})
	}
	begins := KindOpen
	if j.desk.wrote {
		begins = KindReopen
	}
	own = append(own, line{Kind: string(begins)})
	if known := j.desk.last; known.Seq > 0 && known != end.last {
		there, err := find(ctx, j.cfg.Place, known)
		if err != nil {
			shelf.close()
			return err
		}
		if !there {
			own = append(own, line{Kind: string(KindMissing), Head: known.String()})
			j.mu.Lock()
			j.missing(known)
			j.mu.Unlock()
		}
	}
	if end.last.Seq == 0 {
		end.last = Head{Chain: rand.Text()}
	}
	j.desk.shelf, j.desk.last = shelf, end.last
	j.front(own...)
	return nil
}

// missing remembers, and has told, that a line is gone; j.mu is held.
func (j *Journal) missing(head Head) {
	j.status.Missing = &Fault{j.cfg.Place.String(), 0, head.Seq, ErrCut, "a line that was written is not there: was the journal cut, or replaced?"}
	j.tell(j.status.Missing)
}

// front puts lines of the journal's own before all that waits, in place of those
// that are there.
func (j *Journal) front(own ...line) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := formatTime(time.Now())
	for i := range own {
		own[i].Version, own[i].Time, own[i].Replica = version, now, cut(j.cfg.Name, maxName)
	}
	j.queue = append(own, j.queue[j.own:]...)
	j.own = len(own)
	j.since = time.Now() // to have come so far is a sign of life
}

// encode makes a batch of what waits, unless there is one that may be there in
// part. It reports whether there is one to be written.
func (j *Journal) encode() (some bool, err error) {
	if len(j.desk.batch) > 0 {
		return true, nil
	}
	head := j.desk.last
	j.mu.Lock()
	lines := append([]line(nil), j.queue[:min(len(j.queue), batchLines)]...)
	if room := maxSeq - head.Seq; uint64(len(lines)) > room {
		lines, err = lines[:room], checkSeq(head)
	}
	j.encoded = len(lines)
	j.mu.Unlock()
	if err != nil {
		return false, err
	}
	for _, l := range lines {
		l.Chain, l.Seq, l.Prev = head.Chain, head.Seq+1, hex.EncodeToString(head.Hash[:])
		if l.Seq == 1 {
			l.Prev = strings.Repeat("0", 2*sha256.Size)
		}
		data := l.appendTo(make([]byte, 0, 512))
		head = Head{l.Chain, l.Seq, hashLine(data)}
		j.desk.batch, j.desk.heads = append(j.desk.batch, append(data, '\n')), append(j.desk.heads, head)
	}
	return len(lines) > 0, nil
}

// wrote takes the first n lines of the batch, which are written, out of the queue.
func (j *Journal) wrote(n int) {
	if n == 0 {
		return
	}
	j.desk.wrote, j.desk.last = true, j.desk.heads[n-1]
	j.desk.batch, j.desk.heads = j.desk.batch[n:], j.desk.heads[n:]
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = append([]line(nil), j.queue[n:]...)
	j.written += uint64(max(0, n-j.own))
	j.own, j.encoded = max(0, j.own-n), len(j.desk.batch)
	j.late = false
	j.status.Head, j.status.Size = j.desk.last, j.desk.shelf.size()
	j.status.Err, j.status.Since = nil, time.Time{}
	j.progress()
}

// turnOver begins a new file where this one is large enough, or it was asked for.
func (j *Journal) turnOver() {
	size := j.desk.shelf.size()
	j.mu.Lock()
	due := j.rotate && len(j.queue) == 0 || j.cfg.MaxSize > 0 && size >= j.cfg.MaxSize
	if due {
		j.rotate = false
	}
	j.mu.Unlock()
	if !due || size == 0 {
		return
	}
	err := j.desk.shelf.rotate(j.desk.last.Seq)
	if err == nil {
		j.front(line{Kind: string(KindContinue)})
	}
	j.mu.Lock()
	j.status.Rotation = err
	j.mu.Unlock()
}
