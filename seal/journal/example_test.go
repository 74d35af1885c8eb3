package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

func Example() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx, place := context.Background(), journal.File{Path: filepath.Join(dir, "journal")}

	// The server.
	j, err := journal.Open(journal.Config{Place: place, Name: "server-1"})
	if err != nil {
		panic(err)
	}
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), Replica: "server-1", OnEvent: j.Event})
	if err != nil {
		panic(err)
	}
	b.Unseal(ctx) // of a store that was never initialized
	b.Seal(seal.By{Actor: "alice"})
	b.Close()
	j.Close()

	// The auditor, who has a head of the last line from elsewhere.
	head := j.Status().Head
	for e, err := range journal.Read(ctx, place, head) {
		if err != nil {
			panic(err)
		}
		fmt.Println(e.Kind, e.Actor, e.Err != nil)
	}
	result, err := journal.Verify(ctx, place, head)
	fmt.Println(result.Lines, "lines,", err)

	// Root wants the last lines forgotten.
	text, _ := os.ReadFile(place.Path)
	os.WriteFile(place.Path, text[:len(text)/2], 0o600)
	_, err = journal.Verify(ctx, place, head)
	fmt.Println(errors.Is(err, journal.ErrCut))
	// Output:
	// journal-open  false
	// unseal  true
	// seal alice false
	// journal-close  false
	// 4 lines, <nil>
	// true
}

// A host that would rather be sealed than go on unseen. OnFailure is called by Run
// and not from within an event, so that it may call the Barrier.
func Example_sealOnFailure() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	var b *seal.Barrier
	sealed := make(chan struct{})
	j, err := journal.Open(journal.Config{
		Place: journal.File{Path: filepath.Join(dir, "unmounted", "journal")},
		OnFailure: func(error) {
			b.Seal(seal.By{Actor: "journal"})
			close(sealed)
		},
	})
	if err != nil {
		panic(err)
	}
	defer j.Close()
	if b, err = seal.Open(seal.Config{Store: seal.NewMemStore(), OnEvent: j.Event}); err != nil {
		panic(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); j.Run(ctx) }() // once b is there

	// No event is needed to learn of it; with one it is the same.
	fmt.Println(j.Flush(ctx) != nil)
	<-sealed
	fmt.Println(errors.Is(b.Sealed(), seal.ErrSealedByOperator))
	cancel()
	<-done
	// Output:
	// true
	// true
}
