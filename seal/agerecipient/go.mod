module github.com/sealwright/sealwright/seal/agerecipient

go 1.26.0

require (
	filippo.io/age v1.3.2
	github.com/sealwright/sealwright v0.0.0
	golang.org/x/crypto v0.58.0
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	filippo.io/hpke v0.4.0 // indirect
	filippo.io/nistec v0.0.4 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/term v0.47.0 // indirect
)

replace github.com/sealwright/sealwright => ../..

tool filippo.io/age/cmd/age
