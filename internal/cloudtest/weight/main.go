// Weight measures what the core and each cloud weigh in a program: the modules
// of others that it links, its size with and without symbols, and the time from
// its start to unsealed, against a fake cloud on loopback. It prints a table.
//
//	cd internal/cloudtest && GOWORK=off go run ./weight
//
// The programs are the least that there are; see package least. The first
// attempt to unseal is made at once: Run spreads it over Config.Spread.
package main

import (
	"debug/buildinfo"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// programs are the directories beside this file.
var programs = []string{"core", "azure", "gcp", "aws"}

const module = "github.com/sealwright/sealwright"

// A weight is what one program weighs.
type weight struct {
	program        string
	modules        []string // of others
	size, stripped int64
	start          time.Duration
}

func main() {
	starts := flag.Int("starts", 21, "the `number` of starts to take the median of")
	flag.Parse()
	os.Setenv("CGO_ENABLED", "0") // static, as in an image that holds nothing else
	if err := run(*starts); err != nil {
		fmt.Fprintln(os.Stderr, "weight:", err)
		os.Exit(1)
	}
}

func run(starts int) error {
	dir, err := os.MkdirTemp("", "sealwright-weight-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%s, %s/%s, median of %d starts\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, starts)
	fmt.Println("| program | modules of others | size | stripped | start to unsealed |\n|---|---|---|---|---|")
	if err := buildAll(dir); err != nil {
		return err
	}
	for _, program := range programs {
		w, err := measure(program, filepath.Join(dir, program), starts, true)
		if err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
		fmt.Printf("| %s | %d | %.1f MiB | %.1f MiB | %.0f ms |\n", w.program, len(w.modules),
			float64(w.size)/(1<<20), float64(w.stripped)/(1<<20), float64(w.start.Microseconds())/1000)
	}
	return nil
}

// measure runs the program, of which buildAll has made dir.exe; where whole is set,
// it builds it once more, with its symbols, for their size alone.
func measure(program, dir string, starts int, whole bool) (w weight, err error) {
	w.program = program
	if err := os.Mkdir(dir, 0o700); err != nil {
		return w, err
	}
	binary := dir + ".exe"
	if w.stripped, err = size(binary); err != nil {
		return w, err
	}
	if whole {
		path := filepath.Join(dir, "whole.exe")
		if err := build("", path, program); err != nil {
			return w, err
		}
		if w.size, err = size(path); err != nil {
			return w, err
		}
	}
	if w.modules, err = linked(binary); err != nil {
		return w, err
	}
	stop, err := prepare(program, dir)
	if err != nil {
		return w, err
	}
	defer stop()
	if _, err := once(binary, dir, "init"); err != nil {
		return w, err
	}
	var times []time.Duration
	for range starts {
		took, err := once(binary, dir)
		if err != nil {
			return w, err
		}
		times = append(times, took)
	}
	slices.Sort(times)
	w.start = times[len(times)/2]
	return w, nil
}

// buildAll makes all programs, stripped, as PROGRAM.exe in the directory, by one
// command: to find out what there is to link takes it long.
func buildAll(dir string) error {
	if err := build("-s -w", dir+string(filepath.Separator), programs...); err != nil {
		return err
	}
	for _, program := range programs {
		path := filepath.Join(dir, program)
		if runtime.GOOS == "windows" {
			path += ".exe" // it is named so already
		}
		if err := os.Rename(path, filepath.Join(dir, program+".exe")); err != nil {
			return err
		}
	}
	return nil
}

func build(flags, to string, programs ...string) error {
	args := []string{"build", "-ldflags=" + flags, "-o", to}
	for _, program := range programs {
		args = append(args, module+"/internal/cloudtest/weight/"+program)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// linked returns the modules of others in a program.
func linked(binary string) (modules []string, err error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	for _, m := range info.Deps {
		if m.Path != module && !strings.HasPrefix(m.Path, module+"/") {
			modules = append(modules, m.Path)
		}
	}
	return modules, nil
}

// once runs the program, and returns the time from its start to its end, which
// comes as soon as it has unsealed.
func once(binary string, args ...string) (time.Duration, error) {
	began := time.Now()
	out, err := exec.Command(binary, args...).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "unsealed" {
		return 0, fmt.Errorf("%v: %s", err, out)
	}
	return time.Since(began), nil
}
