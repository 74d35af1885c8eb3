//go:build !goexperiment.runtimesecret

package seal_test

const experiment = "none"

// maxWrapKeys is how many copies of keys that wrap the root key may be left, as
// halves. Crypto/hpke and crypto/hkdf leave them on the heap, where nothing but
// their reuse clears them: 22 were the most in 80 lives. Each opens the root key
// in one stored record, to who has that record as well.
const maxWrapKeys = 40
