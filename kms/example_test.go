package kms_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// A key is wrapped, and unwrapped by a KMS that is busy at first.
func Example() {
	ctx := context.Background()
	place := kms.Binding{Store: "demo", Slot: "cloud"}

	var fake kmstest.Fake // stands for a cloud
	var w kms.Wrapper = fake.Key("prod")
	blob, err := w.Wrap(ctx, make([]byte, 32), place)
	if err != nil {
		fmt.Println(err)
		return
	}

	fake.Script(kmstest.Nth(2, kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: 50 * time.Millisecond}))
	var key []byte
	err = kms.Policy{Pause: time.Millisecond}.Do(ctx, func(ctx context.Context) (err error) {
		key, err = w.Unwrap(ctx, blob, place)
		return err
	})
	fmt.Println(len(key), err, fake.Count(kmstest.OpUnwrap))

	// What cannot heal by itself is not repeated.
	fake.Disable("prod")
	_, err = w.Unwrap(ctx, blob, place)
	switch {
	case kms.Temporary(err):
		fmt.Println("wait")
	case errors.Is(err, kms.ErrKeyDisabled):
		fmt.Println(err)
	}
	// Output:
	// 32 <nil> 2
	// kms: unwrap fake key "prod": key disabled: enable it
}
