module github.com/sealwright/sealwright/internal/sequences

go 1.26.0

require (
	github.com/sealwright/sealwright v0.0.0
	pgregory.net/rapid v1.3.0
)

replace github.com/sealwright/sealwright => ../..
