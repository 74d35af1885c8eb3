package seal_test

import (
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/seal"
)

// A share as its custodian pastes it, and the same with one letter mistyped.
func ExampleParseShare() {
	share, err := seal.ParseShare(`
		sw1q95f76nzwwzv0h9jmnq5sqqqqqpq8g0uusmrs48l3z
		x07juw0p6avqxzdq3eqsf23nmekd7skyg53v8633w2fh`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(share)

	_, err = seal.ParseShare("sw1q95f76nzwwzv0h9jmnq5sqqqqqpq8g0uusmrs48l3zx07juw0p6avqxzdq3eqsf23nmekd7skyg53v8633w2fg")
	fmt.Println(err)
	fmt.Println(errors.Is(err, seal.ErrShareChecksum))
	// Output:
	// share 3 of set 2 (redacted)
	// seal: mistyped share: compare it with the original, nothing is corrected
	// true
}
