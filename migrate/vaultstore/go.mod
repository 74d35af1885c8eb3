module github.com/sealwright/sealwright/migrate/vaultstore

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/sealwright/sealwright v0.0.0
	go.etcd.io/bbolt v1.5.0
)

require golang.org/x/sys v0.49.0 // indirect

replace github.com/sealwright/sealwright => ../..
