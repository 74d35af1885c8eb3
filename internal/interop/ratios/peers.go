package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/internal/measure"
)

// peers has the module beside this package's parent measure what it can, by
// building it where it is.
func peers(options measure.Options) ([]measure.Result, error) {
	// This command may be run from anywhere in its module, and its own file may
	// not know where it was built.
	list := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/sealwright/sealwright/internal/interop/ratios")
	here, err := output(list)
	if err != nil {
		return nil, fmt.Errorf("the module is not found: %w", err)
	}
	run := exec.Command("go", "run", ".", "-json", "-run", options.Match.String(), "-passes", strconv.Itoa(options.Passes))
	run.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(here))), "peers")
	run.Env = append(os.Environ(), "GOWORK=off", "PWD="+run.Dir)
	text, err := output(run)
	if err != nil {
		return nil, err
	}
	var results []measure.Result
	if err := json.Unmarshal(text, &results); err != nil {
		return nil, fmt.Errorf("its results: %w", err)
	}
	return results, nil
}

// output runs the command. Its error has the last line that the command wrote to
// its standard error, which says most.
func output(cmd *exec.Cmd) ([]byte, error) {
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(errors.String()), "\n")
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args[:2], " "), err, lines[len(lines)-1])
	}
	return out, nil
}
