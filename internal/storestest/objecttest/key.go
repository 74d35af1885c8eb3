package objecttest

import (
	"fmt"
	"sync/atomic"
)

var keys atomic.Int64

// Key returns the name of an object that no other test has.
func Key() string { return fmt.Sprintf("tests/%d/seal", keys.Add(1)) }
