package sealconf_test

import (
	"context"
	"fmt"
	"log"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// A server reads the seal stanzas of its configuration, and makes its store by
// them.
func Example() {
	const file = `
listener "tcp" { address = "127.0.0.1:8200" }

seal "static" {
  name           = "auto"
  current_key_id = "2026-11"
  current_key    = "7d5f8c5e2b0a4f1c9d3e6b7a8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3"
}

seal "shamir" {
  name      = "recovery"
  shares    = 5
  threshold = 3
}
`
	stanzas, err := sealconf.Parse([]byte(file), "server.hcl")
	if err != nil {
		log.Fatal(err)
	}
	// Clouds are given as Options.Providers: azureseal.Provider(nil) and so on.
	setup, err := sealconf.Build(stanzas, sealconf.Options{})
	if err != nil {
		log.Fatal(err)
	}
	cfg := seal.Config{Store: seal.NewMemStore()}
	setup.Apply(&cfg)
	b, err := seal.Open(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	d, err := b.Init(context.Background(), setup.Slots, seal.By{Actor: "example"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("sealed:", b.Status().Sealed)
	fmt.Println("shares for", d.Sets[0].Slot, "to deliver:", len(d.Sets[0].Shares))
	for _, slot := range b.Status().Slots {
		fmt.Printf("%s: %v\n", slot.Name, slot.Spec)
	}
	// Output:
	// sealed: false
	// shares for recovery to deliver: 5
	// auto: KMS auto
	// recovery: 3 of 5 people
}
