package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/sealwright/sealwright/kms/awskms/awsseal"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azureseal"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpseal"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// An app is one run of the program.
type app struct {
	cli *cli
	stdio

	setup   *sealconf.Setup
	closers []func()
	tty     *tty             // nil until it is needed
	journal *journal.Journal // nil for none
	inputIs string           // what standard input was taken for; "" for nothing yet
	read    map[string]bool  // the sources of shares that were read
	spare   []given          // shares for what is asked next
	changes bool             // one set of shares opens the store and proves that it does
	putBack string           // how a store that was changed gets back to where it was taken

	mu       sync.Mutex
	unsealed string          // the slot that unsealed last
	proved   map[string]bool // the slots that were proven, by name
}

var (
	// errStaysSealed: what was given does not open the store.
	errStaysSealed = errors.New("the store stays sealed")
	// errTold: what is wrong stands in the output already.
	errTold = errors.New("told")
)

func (a *app) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
	wipeAll(a.spare)
}

// say tells people something, and scripts nothing.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// A failure is what --json prints of an error.
type failure struct {
	Error  string `json:"error"`
	Sealed bool   `json:"sealed"`
	Next   string `json:"next,omitempty"`
}

func (a *app) fail(err error) {
	text, next := strings.TrimPrefix(err.Error(), "seal: "), a.next(err)
	if a.cli.JSON {
		a.print(failure{Error: text, Sealed: errors.Is(err, errStaysSealed), Next: next})
	}
	fmt.Fprintln(a.err, "sealwright:", text)
	if next != "" {
		fmt.Fprintln(a.err, "next:", next)
	}
}

// print writes one object of JSON.
func (a *app) print(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// answer prints v for scripts, or has text print it for people.
func (a *app) answer(v any, text func(w io.Writer)) error {
	if a.cli.JSON {
		return a.print(v)
	}
	var b strings.Builder
	text(&b)
	if _, err := io.WriteString(a.out, b.String()); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// by is who asks.
func (a *app) by() seal.By {
	if a.cli.As == "" {
		return seal.By{Actor: "sealwright"}
	}
	return seal.By{Actor: a.cli.As}
}

// seals reads --config, once. A file without stanzas has no KMS.
func (a *app) seals(ctx context.Context) (*sealconf.Setup, error) {
	if a.setup != nil || a.cli.Config == "" {
		return a.setup, nil
	}
	src, err := os.ReadFile(a.cli.Config)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	stanzas, err := sealconf.Parse(src, a.cli.Config)
	if err != nil {
		return nil, err
	}
	providers := []sealconf.Provider{awsseal.Provider(nil), azureseal.Provider(nil), gcpseal.Provider(nil)}
	setup, err := sealconf.Build(stanzas, sealconf.Options{Providers: providers, AllowEnvironment: true})
	if err != nil {
		return nil, err
	}
	for _, note := range setup.Notes {
		a.say("note: %s", note)
	}
	running, stop := context.WithCancel(ctx)
	a.closers = append(a.closers, stop)
	for _, f := range setup.Run {
		go func() { _ = f(running) }() // the renewal of a token: what fails is told by the call that needs it
	}
	a.setup = setup
	return setup, nil
}

// barrier returns a sealed Barrier over a store.
func (a *app) barrier(ctx context.Context, store seal.Store, adjust func(*seal.Config)) (*seal.Barrier, error) {
	cfg := seal.Config{
		Store: store, Pins: a.cli.Pin, TrustUnpinned: a.cli.TrustUnpinned, Drill: -1,
		Replica: replica(), OnEvent: a.event,
	}
	setup, err := a.seals(ctx)
	if err != nil {
		return nil, err
	}
	if setup != nil {
		setup.Apply(&cfg)
	}
	if adjust != nil {
		adjust(&cfg)
	}
	if err := a.openJournal(); err != nil {
		return nil, err
	}
	b, err := seal.Open(cfg)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() { b.Close() })
	return b, nil
}

func (a *app) event(e seal.Event) {
	if a.journal != nil {
		a.journal.Event(e)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case e.Err != nil:
	case e.Kind == seal.EventUnseal:
		a.unsealed = e.Slot
	case e.Kind == seal.EventProve || e.Kind == seal.EventReplace:
		a.proved[e.Slot] = true
	}
}

// openJournal opens the journal of --journal-to, once. What cannot be written there
// holds up nothing, and is told in the end.
func (a *app) openJournal() error {
	if a.journal != nil || a.cli.JournalTo == "" {
		return nil
	}
	j, err := journal.Open(journal.Config{Place: journal.File{Path: a.cli.JournalTo}, Name: replica()})
	if err != nil {
		return fmt.Errorf("--journal-to: %w", err)
	}
	a.journal = j
	a.closers = append(a.closers, func() {
		if err := j.Close(); err != nil {
			a.say("warning: not everything stands in the journal %s: %v", a.cli.JournalTo, err)
		}
	})
	return nil
}

// replica is this program's name in the record, the same for each run on a
// machine, so that the next one goes on with what the last one began.
func replica() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	clean := func(r rune) rune {
		if r < '!' || r > '~' {
			return '_'
		}
		return r
	}
	name := "sealwright@" + strings.Map(clean, host)
	return name[:min(len(name), 64)]
}
