module github.com/sealwright/sealwright/internal/interop

go 1.26.0

require (
	github.com/hashicorp/vault v1.14.8
	github.com/sealwright/sealwright v0.0.0
)

replace github.com/sealwright/sealwright => ../..
