package transit

// Internals that the tests of this package look at.
var (
	ParseCiphertext = parseCiphertext
	RetryAfter      = retryAfter
)
