module github.com/sealwright/sealwright/seal/paper

go 1.26.0

require (
	github.com/sealwright/sealwright v0.0.0
	rsc.io/qr v0.2.0
)

replace github.com/sealwright/sealwright => ../..
