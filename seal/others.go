package seal

import (
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
)

// others is what this process and the other replicas have asked and told each other
// of late: how often, by whom, and what was said last. It holds no key and no share,
// calls nobody, and knows nothing of the record, nor of whether the Barrier is sealed.
type others struct {
	listing bounded.Gate  // to Config.Peers
	hung    bounded.Hung  // calls of other replicas, by their names
	came    chan struct{} // a quorum, of shares that others passed

	mu        sync.Mutex            // guards what follows
	handed    bucket                // of the root keys handed to them
	passing   bucket                // of the shares passed to them
	gathered  time.Time             // when they were last asked for somebody who gave a share
	asks      map[[32]byte]struct{} // requests that wait for their answer
	refusedTo map[string]telling    // the refusals last told of, by who asked
	passedTo  map[string]int        // how many shares each was told of to have been passed
	said      outcome               // what the last round of asking them came to, as far as it was told
}

func newOthers() others {
	return others{
		listing: bounded.NewGate(), came: make(chan struct{}, 1),
		asks: map[[32]byte]struct{}{}, refusedTo: map[string]telling{}, passedTo: map[string]int{},
	}
}

// maxNamed is of how many replicas what they were told last is remembered: whoever
// may ask chooses among few names.
const maxNamed = 1024

// A telling is what was told, and when.
type telling struct {
	what string
	at   time.Time
}

// refusalPause is for how long the same refusal of the same replica, which asks each
// other one every twenty seconds, is not told again.
const refusalPause = 10 * time.Minute

// refused reports whether a refusal is news.
func (o *others) refused(who string, why error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	last, now := o.refusedTo[who], time.Now()
	if last.what == why.Error() && now.Sub(last.at) < refusalPause {
		return false
	}
	if len(o.refusedTo) >= maxNamed {
		clear(o.refusedTo)
	}
	o.refusedTo[who] = telling{why.Error(), now}
	return true
}

// passed reports whether it is news that so many shares were passed to somebody.
func (o *others) passed(who string, n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	news := o.passedTo[who] != n
	if len(o.passedTo) >= maxNamed {
		clear(o.passedTo)
	}
	o.passedTo[who] = n
	return news
}

// cameTo reports whether what a round came to is news: rounds are seconds apart.
func (o *others) cameTo(what outcome) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	news := what != o.said
	o.said = what
	return news
}

// mayHand reports whether one more root key is within the rate.
func (o *others) mayHand() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.handed.take(time.Now(), handOffs, handOffBurst)
}

// mayPass is mayHand of shares.
func (o *others) mayPass() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.passing.take(time.Now(), handOffs, handOffBurst)
}

// gather reports whether they are to be asked now for somebody who has given a
// share, and remembers that they are; again says that it had been given before.
func (o *others) gather(again bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if again && !o.gathered.IsZero() && time.Since(o.gathered) < passPause {
		return false
	}
	o.gathered = time.Now()
	return true
}

// asking remembers a request until the function that it returns is called: this
// process may be among those that it asks.
func (o *others) asking(id [32]byte) func() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asks[id] = struct{}{}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.asks, id)
	}
}

// isOwn reports whether a request is of this process itself.
func (o *others) isOwn(id [32]byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, own := o.asks[id]
	return own
}
