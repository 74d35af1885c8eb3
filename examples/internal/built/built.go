// Package built makes programs that tests run.
package built

import (
	"fmt"
	"os/exec"
	"runtime"
)

// Program links the program of a package, which is named as seen from dir, as go
// run does, and copies it to a file. The go command keeps what it links for that:
// the next test that asks for the program has it at once.
func Program(dir, pkg, file string) error {
	cmd := exec.Command("go", "run", "-exec", "cp", pkg, file)
	if runtime.GOOS == "windows" { // has no cp
		cmd = exec.Command("go", "build", "-buildvcs=false", "-o", file, pkg)
	}
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return nil
}
