package transittest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/kms/transit/transittest"
)

// The server is busy at first, and sealed later.
func Example() {
	ctx := context.Background()
	var vault transittest.Server
	w, err := transit.New(vault.Config("prod"))
	if err != nil {
		fmt.Println(err)
		return
	}
	vault.Script(kmstest.Nth(1, kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: time.Minute}))
	_, err = w.Wrap(ctx, make([]byte, 32), kms.Binding{Store: "demo"})
	if e, ok := errors.AsType[*kms.Error](err); ok {
		fmt.Println(kms.Temporary(err), e.RetryAfter)
	}

	vault.Seal()
	_, err = w.Probe(ctx)
	fmt.Println(err)
	fmt.Println(len(vault.Calls()), "calls")
	// Output:
	// true 1m0s
	// kms: probe transit key "transit/prod": unavailable: try again later: HTTP 503 Service Unavailable: Vault is sealed
	// 2 calls
}
