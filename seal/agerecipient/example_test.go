package agerecipient_test

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/agerecipient"
)

// A store whose one share is Ada's, who has an age key.
func Example() {
	ada, err := age.GenerateX25519Identity() // age-keygen -o key.txt
	if err != nil {
		fmt.Println(err)
		return
	}
	to, name, err := agerecipient.Parse(ada.Recipient().String()) // what Ada sent
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	ctx := context.Background()
	d, err := b.Init(ctx, map[string]seal.Spec{
		"people": seal.Shamir{Shares: 1, Threshold: 1, Custodians: []seal.Custodian{{Name: name, Recipient: to}}},
	}, seal.By{})
	if err != nil {
		fmt.Println(err)
		return
	}
	message := d.Sets[0].Encrypted[0] // which Ada gets

	// age -d -i key.txt
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(message)), ada)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := io.ReadAll(r)
	share, err := seal.ParseShare(string(text))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = b.Submit(ctx, share, seal.By{})
	fmt.Println("unsealed:", err == nil && !b.Status().Sealed)
	// Output: unsealed: true
}
