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

// A server from its start to its end: the journal is there before the barrier whose
// events it takes, and after it. Run ends by Close, and not before.
func Example_server() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	place := journal.File{Path: filepath.Join(dir, "journal")}
	heads := seal.NewMemStore() // in truth in another account

	// 1. The journal, and whether it can be written.
	j, err := journal.Open(journal.Config{
		Place: place, Name: "server-1", Heads: heads,
		OnFailure: func(err error) { fmt.Println("call somebody:", err) },
	})
	if err != nil {
		panic(err)
	}
	if err := j.Flush(ctx); err != nil {
		fmt.Println("the journal does not hold what comes:", err) // and will be tried again
	}

	// 2. The barrier, whose events it takes, beside the log.
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), Replica: "server-1", OnEvent: j.Event})
	if err != nil {
		panic(err)
	}

	// 3. What runs as long as the server does.
	journaled := make(chan error)
	go func() { journaled <- j.Run(ctx) }()
	serve(ctx, b)

	// 4. The end: the barrier's last words are events, so the journal ends after it.
	b.Close()
	if err := j.Close(); err != nil {
		fmt.Println("it does not say that it ended in order:", err)
	}
	fmt.Println("run ended by Close:", errors.Is(<-journaled, journal.ErrClosed))

	// The auditor has the head from where the server can't change it.
	text, _, err := heads.Load(ctx)
	if err != nil {
		panic(err)
	}
	head, err := journal.ParseHead(string(text))
	if err != nil {
		panic(err)
	}
	for e, err := range journal.Read(ctx, place, head) {
		fmt.Println(e.Kind, err)
	}
	result, err := journal.Verify(ctx, place, head)
	fmt.Println("crashed:", result.Crashed, "unended:", result.Unended, "the last head was kept:", result.Last == head, err)
	// Output:
	// run ended by Close: true
	// journal-open <nil>
	// unseal <nil>
	// seal <nil>
	// journal-close <nil>
	// crashed: 0 unended: false the last head was kept: true <nil>
}

// serve is what the server does.
func serve(ctx context.Context, b *seal.Barrier) {
	b.Unseal(ctx) // of a store that was never initialized
	b.Seal(seal.By{Actor: "alice"})
}
