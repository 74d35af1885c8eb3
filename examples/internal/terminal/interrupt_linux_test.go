package terminal_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/term"

	"github.com/sealwright/sealwright/examples/internal/terminal"
)

// TestMain is also the program that asks for a share.
func TestMain(m *testing.M) {
	if os.Getenv("TERMINAL_TEST_ASKS") == "" {
		os.Exit(m.Run())
	}
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // as the programs do, for their context
	s, err := terminal.Open("")
	if err == nil {
		_, err = s.Next("Share: ")
	}
	fmt.Println(err)
}

// TestInterrupt: who is asked for a share gets away, and has a terminal that
// echoes.
func TestInterrupt(t *testing.T) {
	keyboard, screen := pty(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TERMINAL_TEST_ASKS=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	before, err := term.GetState(int(screen.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	shown := bufio.NewReader(keyboard)
	if text, err := shown.ReadString(':'); err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	// Typed before it listens, the key would end any program.
	for silent := false; !silent; {
		now, err := term.GetState(int(screen.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		silent = *now != *before
	}
	if _, err := keyboard.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if after, err := term.GetState(int(screen.Fd())); err != nil || *after != *before {
		t.Errorf("the terminal is not as it was: %+v, %v", after, err)
	}
	fmt.Fprintln(screen, "end")
	var said string
	for !strings.HasSuffix(said, "end\r\n") {
		line, err := shown.ReadString('\n')
		if said += line; err != nil {
			t.Fatalf("%q, %v", said, err)
		}
	}
	if !strings.Contains(said, "interrupted") {
		t.Errorf("%q", said)
	}
}

// pty returns both ends of a pseudo-terminal.
func pty(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals: ", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	var locked, number int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &locked, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keyboard.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Skip("no pseudo-terminals: ", errno)
		}
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals: ", err)
	}
	t.Cleanup(func() { screen.Close() })
	return keyboard, screen
}
