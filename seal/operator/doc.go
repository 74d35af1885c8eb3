// Package operator serves the part of Vault's HTTP API that operators use, so
// that the stock bao and vault command lines initialize, unseal, seal, rekey,
// rotate and migrate any Go server that mounts it, unchanged.
//
//	h, err := operator.New(operator.Config{Barrier: b, Authorize: authorize, OnEvent: events})
//	mux.Handle("/v1/sys/", h)
//
// Do not use it where nobody has those tools: [seal.Admin] and package migrate
// are the better API for a page or a command of your own. It serves no secrets,
// tokens, policies or mounts; the host does that, if it wants to.
//
// # Routes
//
// Below /v1/sys/, wherever the handler is mounted: init, seal-status, unseal,
// unseal/check, seal, leader, health, key-status, rotate, rotate/keyring,
// rotate/config, rotate/root, seal-backend-status, decode-token, and, with init,
// update and verify below them, rekey, rekey-recovery-key, rotate/root and
// rotate/recovery; with attempt and update, generate-root and
// generate-root-token. DELETE of unseal cancels a migration. PUT and POST are the
// same. Bodies are bounded, and fields that are not known are ignored.
//
// The tools have no command for [seal.Admin.RotateRoot] (their rotate/root is new
// shares), ActivateUnseen, Claim, [seal.Barrier.Unseal] and package migrate's Retire:
// the example HostRoutes has a route for each.
//
// A request takes 50 seconds at most. Nothing waits for another request: while
// one asks a KMS, the server is sealed, the operation cancelled and its status
// read as if that KMS were not there. A host sets [http.Server] ReadTimeout, for
// bodies that never end.
//
// # Who may
//
// [Config.Authorize] decides on every request that needs it, each with its
// [Action]. Unseal, seal-status, leader and health need nothing, nor does init
// unless the host says so ([Config.AuthorizeInit]), nor
// looking at the progress of an operation, checking a share, nor giving one to an
// operation by its id (the nonce): the share is what authorizes. Pages of other
// sites, which a browser tells of, get nothing, and without TLS, which proves names,
// no page makes a store that way.
//
// A host whose requests have an identity without a token, of a client's
// certificate or of a proxy that signs people in, looks at that: the tools send
// whatever token they have, and any will do. What it looks at must be what only
// that identity can send: [http.Request] TLS.VerifiedChains, not the certificate
// alone, with ClientAuth at least VerifyClientCertIfGiven; a header only on
// connections that come from the proxy, which has to take it out of what others
// send. An address is no identity: behind a proxy everybody has the same. A browser
// sends such an identity with whatever page it shows; pages of other sites are
// refused here, which takes the word of the browser, so keep this handler off the
// host name on which people's content is served. With an identity at hand set
// AuthorizeInit, name who it is by [Config.Actor], and let the listener ask for
// it on every route: what needs nothing here, as giving a share, has nothing to
// fear from whom it knows.
//
// # Answers that exist once
//
// Shares and tokens stand in one answer. They are not made for a client that has
// left. One whose answer is lost all the same repeats init by its id; begins a
// rekey again, as the old shares are valid until the new ones are verified; and
// has its old token, if the host keeps that valid, see [Config.MintRootToken].
//
// # Encrypted shares
//
// With -pgp-keys and its like, nobody but a share's holder sees it. The host
// says by [Config.ParseRecipient] how keys are read: package pgp below this one,
// a module of its own, has OpenPGP, and another kind of key is another function.
// Each key is read before anything begins; a bad one is refused with its number
// and the reason. The answers hold the encrypted shares in the order of the
// keys, and the keys' fingerprints. Without ParseRecipient, requests with keys
// are refused, and never answered in clear.
//
// # Differences
//
// DIFFERENCES.md lists every point where this API is not Vault's, and why. The
// chief ones: a share is 89 characters of text that names its set; a wrong one
// is named at once and spoils nothing, so there is nothing to reset; a rekey is
// always verified by the new shares, and the old ones are valid until then; a
// migration needs no restart, and leaves people's shares able to open the
// store. Answers carry more than Vault's do, which its tools ignore.
//
// # Several replicas
//
// An operation's shares are gathered by one replica, which answers name. The
// handler keeps nothing between requests that a restart would lose, except the
// shares given with -migrate to a sealed server, the one-time password of
// generate-root, and the PGP keys of a rekey: those are given, or begun, again.
package operator
