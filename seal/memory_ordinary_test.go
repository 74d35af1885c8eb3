//go:build !goexperiment.runtimesecret

package seal_test

const experiment = "none"

// maxWrapKeys is how many copies of keys that wrap the root key may be left:
// up to two for every slot at each of the eight times at which TestLife wraps or
// unwraps, as crypto/hpke and crypto/hkdf leave them on the heap, where nothing
// but their reuse clears them. Each opens one past wrap of the root key, to who
// has that record as well.
const maxWrapKeys = 48
