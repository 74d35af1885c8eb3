// Command quickvet is a vet tool that reads of the packages that are only
// imported those alone that have something to say about their callers.
//
//	VET=$(go tool -n vet) go vet -vettool=quickvet ./...
//
// go vet reads every package on which those that it vets depend, for two facts:
// which functions print as fmt.Printf does, and which never return. That is most
// of its time where a cloud's SDK is below. A function that prints has ...any for
// its last parameter, so a package without one has no such fact. Of functions that
// do not return vet only asks whether a cancel may be missed: without the fact
// that one does not return it says more, not less.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// rule is part of what the go command keeps results by: raise it when quickvet
// comes to read other packages.
const rule = "quickvet-1"

var variadic = regexp.MustCompile(`\.\.\.\s*(any\b|interface\s*\{\s*\})`)

func main() {
	if err := run(os.Getenv("VET"), os.Args[1:]); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "quickvet:", err)
		os.Exit(1)
	}
}

func run(vet string, args []string) error {
	if vet == "" || len(args) == 0 {
		return errors.New("is run by go vet: set VET to what go tool -n vet prints, and -vettool to this program")
	}
	last := args[len(args)-1]
	if last == "-V=full" {
		version, err := exec.Command(vet, args...).Output()
		fmt.Println(strings.TrimSpace(string(version)), rule)
		return err
	}
	if strings.HasSuffix(last, ".cfg") {
		if done, err := skipped(last); done || err != nil {
			return err
		}
	}
	cmd := exec.Command(vet, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// skipped reports whether the package has no fact; then it says so in vet's stead.
func skipped(config string) (bool, error) {
	data, err := os.ReadFile(config)
	if err != nil {
		return false, err
	}
	var unit struct {
		VetxOnly           bool
		VetxOutput, Stdout string
		GoFiles            []string
	}
	if err := json.Unmarshal(data, &unit); err != nil {
		return false, fmt.Errorf("%s: %w", config, err)
	}
	if !unit.VetxOnly || unit.VetxOutput == "" {
		return false, nil
	}
	for _, name := range unit.GoFiles {
		source, err := os.ReadFile(name)
		if err != nil || variadic.Match(source) {
			return false, err
		}
	}
	for _, name := range []string{unit.VetxOutput, unit.Stdout} {
		if name == "" {
			continue
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			return false, err
		}
	}
	return true, nil
}
