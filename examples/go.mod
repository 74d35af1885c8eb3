module github.com/sealwright/sealwright/examples

go 1.26.0

require github.com/sealwright/sealwright v0.0.0

replace github.com/sealwright/sealwright => ..
