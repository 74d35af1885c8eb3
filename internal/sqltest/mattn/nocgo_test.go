//go:build !cgo

package mattn

import "testing"

func TestMattn(t *testing.T) { t.Skip("mattn's driver needs cgo") }
