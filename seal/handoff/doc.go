// Package handoff has one unsealed replica of a server bring up the others: a
// replica that is sealed asks, one that is unsealed answers with the root key,
// encrypted to a key that the asker made for this one request. People give their
// shares to one replica, and the others come up by themselves; so does one that is
// restarted, as long as any other runs, and one that a rekey or a new root key has
// left behind. It is off unless a host turns it on, in both of these:
//
//	// The asked side, on a listener of its own that replicas alone reach.
//	h, err := handoff.New(handoff.Config{Barrier: b, Authorize: authorize})
//
//	// The asking side.
//	peers := &handoff.Client{URLs: urls, HTTP: client}
//	b, err := seal.Open(seal.Config{Store: store, Replica: "web-0", Peers: peers.Peers})
//
// Do not use it where a KMS unseals every replica anyway: it would only be one
// more way in. Whoever may ask gets the root key, and with it all data, for ever.
//
// # Who may ask
//
// [Config.Authorize] decides, by what the channel proves of the asker: the name in
// a client certificate that was verified ([Certificate]), or a service account's
// token that Kubernetes has reviewed. Nothing that stands in the store decides it,
// so that who can write to the store gains nothing. Authorize returns the name of
// the replica, which is its [seal.Config] Replica: a request in another's name is
// refused, so that nobody passes another's request on.
//
// The asker believes the channel as well: its HTTP client verifies the server's
// certificate by a CA that signs those of replicas alone. A CA that all of a
// company uses proves nothing here, on either side, without a look at the name.
//
// # What is handed over
//
// The root key that the answering replica has now, for the very record that the
// asker has loaded from the store itself, if that is the answering replica's too.
// The answer is bound to that record, a nonce, both names and the asker's key,
// which is wiped when the answer is there, or after five seconds. The asker opens
// its own record with it, and asks of that what it asks where people gave their
// shares: [seal.Config] Pins, Shapes and Anchor hold. An older record than the
// answering replica's is refused, so a store that was put back is noticed also by a
// process without an anchor.
//
// A replica that an operator has sealed does not ask, nor answer.
//
// With [seal.Config] PassShares a replica that is sealed itself answers with the
// shares that were given to it, so that people may give each to any replica: whom
// Authorize names learns those, too.
//
// # Compatibility
//
// FORMAT.md of package seal has the messages. A replica refuses those of a version
// that it does not know, and says so.
package handoff
