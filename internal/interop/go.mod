module github.com/sealwright/sealwright/internal/interop

go 1.26.0

require (
	github.com/hashicorp/vault v1.14.8
	github.com/sealwright/sealwright v0.0.0
	github.com/tink-crypto/tink-go/v2 v2.9.0
	golang.org/x/crypto v0.53.0
)

require (
	golang.org/x/sys v0.46.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

replace github.com/sealwright/sealwright => ../..
