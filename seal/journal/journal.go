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

// Config says where a journal is, and what is done where it can't be written.
type Config struct {
	// Place is where it is. It is required. No two processes may write to the same:
	// give each replica its own.
	Place Place

	// Name is who writes: the replica's, as in [seal.Config].
	Name string

	// Heads, if set, keeps the head of the newest line elsewhere: a row in another
	// database, an object in another account, as [seal.Config] Anchor does. A process
	// that starts looks whether the journal has the line of the head kept, and says
	// so in the journal if not; the head kept then stays as it is. No two processes
	// may share one. Run moves it on.
	Heads seal.Store

	// OnFailure, if set, is called by Run, once for each time that things begin to go
	// wrong, with why: a line could not be written, or not within Wait; lines that
	// were written are gone. It may call the Barrier, and have it sealed. Whether all
	// is well again, [Journal.Status] says.
	OnFailure func(error)

	// Wait is how long Event waits for its line to be on the disk. Once one took
	// longer, none waits until lines are written again. Zero: 2 seconds.
	Wait time.Duration

	// Keep is how many events wait in memory for a place that can't be written. What
	// is more is lost, and counted. Zero: 1000.
	Keep int

	// MaxSize is how large a [File] may grow, in bytes, and a few lines more, before
	// it is renamed and another begun. Zero: as large as it likes. What the disk has no
	// room for is the host's to take away.
	MaxSize int64
}

// ErrClosed is returned by the methods of a Journal after Close.
var ErrClosed = errors.New("journal: it is closed")

// ErrLate is why a line is not known to be written: the disk or the database has
// not answered within [Config.Wait]. It is tried, and waited for, all the same.
var ErrLate = errors.New("journal: no answer in time from where it is written")

// A Journal writes events down. It is safe for concurrent use. Make it with [Open].
type Journal struct {
	cfg  Config
	wake chan struct{} // for Run: something is to be told
	life context.Context
	end  context.CancelCauseFunc

	mu       sync.Mutex
	queue    []line        // to be written
	own      int           // how many at its front are the journal's, of opening; they count for nothing
	encoded  int           // how many at its front are as they will be written
	accepted uint64        // lines ever put at its end
	written  uint64        // and out of it, for good
	moved    chan struct{} // closed when written grows, or the round ends
	round    bool          // a goroutine is writing
	late     bool          // and has been for long
	since    time.Time     // of the last sign of life of the round
	tried    time.Time     // when a round last ended with an error
	rotate   bool          // asked for
	closing  bool          // somebody closes it
	closed   bool
	status   Status
	news     []error // to be told

	telling, keeping bounded.Gate // calls of OnFailure, and of Heads

	desk desk // belongs to the round
}

// Status is how a journal is.
type Status struct {
	Head    Head  // of the newest line that is known to be written
	Size    int64 // of the file being written, in bytes
	Waiting int   // events in memory, to be written
	Lost    uint64

	Err   error     // why nothing can be written now; nil where it can, as far as is known
	Since time.Time // when that began

	Missing  error // a line was gone that was known to be there; stays until the process ends
	Rotation error // why the file could not be renamed; it grows
	Heads    error // why the newest head could not be kept in [Config.Heads]; nil where it was
}

// Open returns a journal. It does not touch the place: that is done with the first
// event, and by Flush, which tells whether it can be written. The error is
// [seal.ErrConfig].
func Open(cfg Config) (*Journal, error) {
	if cfg.Place == nil {
		return nil, fmt.Errorf("%w: journal: Place is nil, want a File or a Table", seal.ErrConfig)
	}
	if err := cfg.Place.check(); err != nil {
		return nil, err
	}
	if cfg.Wait < 0 || cfg.Keep < 0 || cfg.MaxSize < 0 {
		return nil, fmt.Errorf("%w: journal: Wait is %v, Keep %d and MaxSize %d, want none that is negative", seal.ErrConfig, cfg.Wait, cfg.Keep, cfg.MaxSize)
	}
	if cfg.Wait == 0 {
		cfg.Wait = 2 * time.Second
	}
	if cfg.Keep == 0 {
		cfg.Keep = 1000
	}
	j := &Journal{cfg: cfg, wake: make(chan struct{}, 1), moved: make(chan struct{}), telling: bounded.NewGate(), keeping: bounded.NewGate()}
	j.life, j.end = context.WithCancelCause(context.Background())
	return j, nil
}

// Event writes an event down; it is for [seal.Config] OnEvent, alone or by
// [seal.JoinEvents]. The line is on the disk when it returns, unless that takes
// longer than [Config.Wait] or fails: then it is kept in memory, and written later.
func (j *Journal) Event(e seal.Event) {
	l := lineOf(e)
	j.mu.Lock()
	if j.closed {
		j.status.Lost++
		j.mu.Unlock()
		return
	}
	ticket, kept := j.add(l)
	failing := j.status.Err != nil
	if !failing || time.Since(j.tried) >= time.Second {
		j.begin()
	}
	j.mu.Unlock()
	if kept && !failing {
		j.await(ticket)
	}
}

// add puts a line into the queue, or counts it as lost; j.mu is held.
func (j *Journal) add(l line) (ticket uint64, kept bool) {
	if len(j.queue)-j.own < j.cfg.Keep {
		j.queue = append(j.queue, l)
		j.accepted++
		return j.accepted, true
	}
	j.status.Lost++
	if last := &j.queue[len(j.queue)-1]; last.Kind == string(KindLost) && len(j.queue) > j.encoded {
		last.Count++
		last.Time, last.To = l.Time, l.Time
		return 0, false
	}
	j.queue = append(j.queue, line{Version: version, Time: l.Time, Kind: string(KindLost), Replica: cut(j.cfg.Name, maxName), Count: 1, From: l.Time, To: l.Time})
	j.accepted++
	j.tell(fmt.Errorf("journal: %d events wait to be written, and what is more is lost", j.cfg.Keep))
	return 0, false
}

// begin has a round begin, unless one is under way; j.mu is held.
func (j *Journal) begin() {
	if j.round || j.closed {
		return
	}
	j.round, j.since = true, time.Now()
	go func() {
		err := bounded.Guard(func() error { return j.write(j.life) })
		if j.ended(err) {
			j.desk.leave()
		}
	}()
}

// ended ends a round, and reports whether it was the last one.
func (j *Journal) ended(err error) (last bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.round, j.late = false, false
	j.progress()
	if err != nil {
		j.tried = time.Now()
		j.fail(err)
	} else if len(j.queue) > 0 { // it came at the last moment
		j.begin()
	}
	return j.closed
}

// progress wakes who waits; j.mu is held.
func (j *Journal) progress() {
	j.since = time.Now()
	close(j.moved)
	j.moved = make(chan struct{})
}

// await waits until the line of a ticket is written, or the round has failed, or
// has shown no sign of life for as long as Wait.
func (j *Journal) await(ticket uint64) {
	timer := time.NewTimer(j.cfg.Wait)
	defer timer.Stop()
	for {
		j.mu.Lock()
		if j.written >= ticket || !j.round || j.late {
			j.mu.Unlock()
			return
		}
		moved := j.moved
		j.mu.Unlock()
		select {
		case <-moved:
		case <-timer.C:
			j.mu.Lock()
			if j.round && time.Since(j.since) >= j.cfg.Wait {
				j.late = true
				j.fail(ErrLate)
			}
			j.mu.Unlock()
			return
		}
	}
}

// fail remembers why nothing can be written, and has it told; j.mu is held.
func (j *Journal) fail(err error) {
	began := j.status.Err == nil
	j.status.Err = err
	if began {
		j.status.Since = time.Now()
		j.tell(err)
	}
}

// tell has Run call OnFailure; j.mu is held. Where Run does not run, the last few
// are kept.
func (j *Journal) tell(err error) {
	if j.news = append(j.news, err); len(j.news) > 10 {
		j.news = j.news[1:]
	}
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Status says how the journal is. It waits for nothing.
func (j *Journal) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.status
	s.Waiting = len(j.queue)
	return s
}

// Flush writes what waits, and says whether all of it is written. Call it at the
// start to learn whether the place can be written.
func (j *Journal) Flush(ctx context.Context) error {
	j.mu.Lock()
	want, asked := j.accepted, false
	j.mu.Unlock()
	for {
		j.mu.Lock()
		switch {
		case j.closed:
			j.mu.Unlock()
			return ErrClosed
		case j.round:
		case asked && j.status.Err != nil:
			defer j.mu.Unlock()
			return j.status.Err
		case asked && j.written >= want:
			j.mu.Unlock()
			return nil
		default:
			j.begin()
			asked = true
		}
		moved := j.moved
		j.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrLate, ctx.Err())
		}
	}
}

// Rotate begins a new file, once what waits is written; the one before keeps the
// name that [File] says. A table knows no files.
func (j *Journal) Rotate(ctx context.Context) error {
	j.mu.Lock()
	j.rotate = true
	j.mu.Unlock()
	if err := j.Flush(ctx); err != nil {
		return err
	}
	return j.Status().Rotation
}

// Close writes what waits and that this process ended in order, for which it waits
// no longer than [Config.Wait], and gives the place back. It returns why not all
// was written; where another Close is at work, or was, [ErrClosed].
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closing {
		j.mu.Unlock()
		return ErrClosed
	}
	j.closing = true
	// Also where nothing was written so far: Flush writes the line of the beginning, or
	// somebody is about to.
	j.queue = append(j.queue, line{Version: version, Time: formatTime(time.Now()), Kind: string(KindClose), Replica: cut(j.cfg.Name, maxName)})
	j.accepted++
	j.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), j.cfg.Wait)
	defer cancel()
	err := j.Flush(ctx)
	j.mu.Lock()
	j.closed = true
	last := !j.round // else it does so itself
	j.mu.Unlock()
	j.end(ErrClosed)
	if last {
		// Also to close a file may hang.
		if _, late := bounded.Call(ctx, func(context.Context) (struct{}, error) { j.desk.leave(); return struct{}{}, nil }, nil); late != nil && err == nil {
			err = fmt.Errorf("%w: it was not given back: %w", ErrLate, late)
		}
	}
	return err
}
