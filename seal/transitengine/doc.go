// Package transitengine lets a host serve its named keys to others: an
// [http.Handler] that speaks the API of Vault's transit engine, so that
// bao write transit/encrypt/…, Vault's Go client, SOPS (hc_vault), the wrappers
// of go-kms-wrapping and of package kms/transit, and the seal "transit" of a
// Vault or OpenBao server work unchanged.
//
//	engine, err := transitengine.New(transitengine.Config{
//		Keys:      keys,
//		Sealed:    barrier.Sealed,
//		Authorize: func(r *http.Request, a transitengine.Action, key string) error { … },
//	})
//	mux.Handle("/v1/transit/", engine)
//
// Do not use it where callers and server are one program: package named is the
// same without HTTP.
//
// # Who may what
//
// The handler has no tokens and no policies. It asks the host before everything,
// naming the [Action] and the key; what the host does not let happen is answered
// with 403 before the body is read. A key that an encrypt would make asks a
// second time, for [Create]: a host that refuses it there has no key made by a
// misspelt name.
//
// While Sealed returns an error all is answered with 503, as Vault does.
//
// # Compatibility
//
// DIFFERENCES.md, beside this file, lists where this is not Vault, and why.
// Requests are JSON objects of at most Config.MaxBody bytes; fields that are not
// known are ignored, and named in the answer's warnings. What a command line
// writes as a text where a number or a boolean is meant is taken as that.
//
// # Concurrency
//
// The handler is safe for concurrent use, and holds no lock.
//
// # What it must not know
//
// It owns routes, the shape of requests and answers, and Vault's words for what
// went wrong. How keys work, are kept and rotate is package named's, who may
// use them the host's.
package transitengine
