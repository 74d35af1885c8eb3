module github.com/sealwright/sealwright/internal/columntest/mattn

go 1.26.0

require (
	github.com/sealwright/sealwright v0.0.0
	github.com/sealwright/sealwright/internal/columntest v0.0.0
)

require github.com/mattn/go-sqlite3 v1.14.53

replace (
	github.com/sealwright/sealwright => ../../..
	github.com/sealwright/sealwright/internal/columntest => ..
)
