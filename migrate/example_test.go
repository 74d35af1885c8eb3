package migrate_test

import (
	"context"
	"fmt"
	"log"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A server whose pods came up sealed after every restart moves from people's
// shares to a KMS key, while it runs.
func Example() {
	ctx := context.Background()
	cloud := &kmstest.Fake{}
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(),
		KMS:   map[string]kms.Wrapper{"cloud": cloud.Key("prod")},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	delivery, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	if err != nil {
		log.Fatal(err)
	}
	for _, share := range delivery.Sets[0].Shares[:2] {
		if _, err := b.Submit(ctx, share, seal.By{}); err != nil {
			log.Fatal(err)
		}
	}

	plan := migrate.Plan{Slots: map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}}
	report, err := migrate.Check(ctx, b, plan)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("would open afterwards:", report.Opens)

	result, err := migrate.Reconcile(ctx, b, plan, migrate.Options{By: seal.By{Actor: "ops"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, move := range result.Moved {
		fmt.Println(move)
	}
	fmt.Println("done:", result.Done)
	// Output:
	// would open afterwards: [auto: KMS cloud people: 2 of 3 people]
	// add "auto" (KMS cloud)
	// prove "auto" (KMS cloud)
	// done: true
}
