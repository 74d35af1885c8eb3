package paper_test

import (
	"context"
	"fmt"
	"os"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/paper"
)

// Five people get a page each, printed from a memory file system.
func ExampleWrite() {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	d, err := b.Init(context.Background(), map[string]seal.Spec{"people": seal.Shamir{Shares: 5, Threshold: 3}}, seal.By{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Wipe()
	f, err := os.CreateTemp("", "cards-*.html") // on a server: below /dev/shm
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	cards := paper.Cards(d, paper.About{Store: "payments, production", Contact: "on call: +1 555 0100"})
	if err := paper.Write(f, cards...); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(cards), "cards")
	// Output: 5 cards
}
