package secret_test

import (
	"testing"

	"github.com/sealwright/sealwright/internal/secret"
)

func TestDo(t *testing.T) {
	calls, burnt := 0, 0
	secret.Do(func() {
		calls++
		secret.Do(func() { calls++ }) // within itself
	})
	func() {
		defer func() {
			if recover() == "through" {
				burnt++
			}
		}()
		secret.Do(func() { panic("through") })
	}()
	if calls != 2 || burnt != 1 {
		t.Errorf("%d calls, %d panics came through", calls, burnt)
	}
	// A stack is cleared below the caller, never its own frame.
	mine := [4]int{1, 2, 3, 4}
	secret.BurnStack()
	if mine != [4]int{1, 2, 3, 4} {
		t.Errorf("the caller's own variable is %v", mine)
	}
}
