module github.com/sealwright/sealwright/examples

go 1.26.0

require (
	github.com/sealwright/sealwright v0.0.0
	golang.org/x/term v0.47.0
)

require golang.org/x/sys v0.49.0 // indirect

replace github.com/sealwright/sealwright => ..
