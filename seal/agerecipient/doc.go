// Package agerecipient encrypts shares to age recipients and SSH keys, for
// [seal.Custodian] and for Config.ParseRecipient of package operator:
//
//	h, err := operator.New(operator.Config{…, ParseRecipient: agerecipient.Parse})
//
// A holder opens a share, which is armored text, with
//
//	age -d -i KEY
//
// in which KEY is an identity file of age or an SSH private key. Do not use it
// for people who have neither: OpenPGP keys are package operator/pgp's, and both
// are taken by
//
//	ParseRecipient: agerecipient.Config{Else: pgp.Parse}.Parse
//
// # Keys
//
// A key is one line: age1… (X25519), age1pq1… (post-quantum), ssh-ed25519 …, ssh-rsa …
// of 2048 bits or more, or, where the host allows a plugin by its name,
// age1name1…. Comments and empty lines beside it are left out. It may come in
// base64, as the command lines of bao and vault send the files that -pgp-keys
// names. Hardware SSH keys (sk-…) and ECDSA keys cannot be encrypted to: age does
// not have them. One file of age mixes no post-quantum recipient with others;
// a share has one recipient.
//
// The custodian's name in the record is the recipient itself where it fits, as
// that of X25519; the fingerprint SHA256:… of an SSH key, as ssh-keygen -l shows
// it; else the kind of recipient and a hash of it, which [Name] computes.
//
// # Plugins
//
// To encrypt to age1name1… the program age-plugin-name must be on the server's
// PATH when the shares are made, and is run for it. As whoever sends keys may be
// a stranger, none is unless [Config.Plugins] names it. It is asked for one
// share at a time and given up on after [PluginTime]; a question of its is
// answered with an error, and nothing of it goes to the server's terminal from
// here. A plugin that was given up on is a process that may go on.
//
// # Post-quantum
//
// A share for age1pq1… is opened by age 1.3 or newer, which [seal.ShareSet] says
// in its Hints. An older age refuses an identity file as a whole in which such an
// identity stands: its holder keeps it in a file of its own.
//
// # Errors
//
// Every error of Parse wraps one of this package's, except in FIPS mode. None
// shows anything of what was sent but its kind: it may be a private key. Under
// GODEBUG=fips140=only no key is accepted, with [errors.ErrUnsupported]: age
// needs ChaCha20-Poly1305.
package agerecipient
