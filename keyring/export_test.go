package keyring

// Limits are the limits of a key, for tests that reach them.
type Limits struct {
	EpochUnits, Lease uint64
	TermEpochs        int
	Chunks            uint64
}

// SetLimits lowers the limits of a keyring, before its first Install.
func (o *Owner) SetLimits(l Limits) {
	o.k.limit = limits{l.EpochUnits, l.Lease, l.TermEpochs, l.Chunks}
}

const (
	HeaderSize = headerSize
	ChunkSize  = chunkSize
	CacheSize  = cacheSets * cacheWays
	EpochUnits = epochUnits
	TermEpochs = termEpochs
	Lease      = lease
	Unit       = unit
	MaxChunks  = maxChunks
)
