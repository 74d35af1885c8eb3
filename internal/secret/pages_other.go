//go:build !linux

package secret

import "runtime"

func lockPages(int) ([]byte, Posture) {
	return nil, Posture{Reason: "no locked memory on " + runtime.GOOS}
}
