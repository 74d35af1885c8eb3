package migrate

import "time"

// How much is worked on at a time.
const (
	pageSize   = 100  // of a source without batches, and to begin with
	batchSize  = 5000 // of one with
	pageBytes  = 512 << 10
	itemBytes  = 200 // what an item takes beside its bytes
	batchTime  = 100 * time.Millisecond
	maxWorkers = 64
)

// A size is how many items the next page has. It grows while batches are quick
// and small, and shrinks when they are not.
type size struct {
	n, most int
	time    time.Duration
	adapts  bool
}

func newSize(o RewrapOptions, batches bool) size {
	z := size{most: pageSize, time: batchTime, adapts: batches}
	if o.BatchTime > 0 {
		z.time = o.BatchTime
	}
	if batches {
		z.most = batchSize
	}
	if o.PageSize > 0 {
		z.most = o.PageSize
	}
	if o.ItemsPerSecond > 0 { // so that others notice no bursts
		z.most = min(z.most, max(1, int(o.ItemsPerSecond/50)))
	}
	z.n = min(pageSize, z.most)
	if o.PageSize > 0 {
		z.n = z.most
	}
	return z
}

// learn looks at how a page went.
func (z *size) learn(s *span) {
	if len(s.items) == 0 {
		return
	}
	each := max(1, s.bytes/len(s.items))
	fits := max(1, pageBytes/each)
	switch {
	case s.troubled || z.adapts && s.took > 2*z.time:
		z.n = max(1, len(s.items)/2)
	case z.n > fits:
		z.n = fits
	case s.took < z.time/2 && len(s.items) >= z.n && 2*z.n <= fits:
		z.n = min(z.most, 2*z.n)
	}
}
