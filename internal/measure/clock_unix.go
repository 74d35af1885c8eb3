//go:build unix

package measure

import (
	"syscall"
	"time"
)

// processorTime is what the processors have spent on this process, in all of its
// threads.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return wallTime()
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
