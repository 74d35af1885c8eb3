package kmstest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// The KMS throttles the second call, and the key is disabled before the third.
func Example() {
	ctx := context.Background()
	place := kms.Binding{Store: "demo", Slot: "cloud"}

	var fake kmstest.Fake
	key := fake.Key("prod")
	blob, err := key.Wrap(ctx, make([]byte, 32), place)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(blob.Type, blob.KeyID, blob.Version)

	fake.Script(kmstest.Nth(2, kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: 30 * time.Second}))
	_, err = key.Unwrap(ctx, blob, place)
	fmt.Println(err)

	fake.Disable("prod")
	_, err = key.Unwrap(ctx, blob, place)
	fmt.Println(errors.Is(err, kms.ErrKeyDisabled), "after", fake.Count(kmstest.OpUnwrap), "unwraps")
	// Output:
	// fake prod 1
	// kms: unwrap fake key "prod": throttled: try again later, or raise the quota (after 30s): fake: throttled
	// true after 2 unwraps
}

// A provider's test runs the suite against a fake of its KMS.
func ExampleConformance() {
	_ = func(t *testing.T) { // TestConformance
		var fake kmstest.Fake
		kmstest.Conformance(t, func(_ *testing.T, key string) kms.Wrapper {
			return fake.Key(key)
		}, kmstest.Options{
			Rotate: func(_ *testing.T, key string) { fake.Rotate(key) },
		})
	}
}
