// Package stanzas tries package sealconf and the stanzas of the three clouds
// together: what people have published, what platforms set, what must not be
// shown. It holds tests alone.
package stanzas
