package report_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/report"
)

// A quarterly custody drill: each custodian has the share checked, and the report
// says who was not heard of.
func Example() {
	ctx := context.Background()
	var heard report.Memory // a host that keeps a journal reads that instead
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), OnEvent: heard.Add})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	d, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2, Custodians: []seal.Custodian{{Name: "anna"}, {Name: "ben"}, {Name: "carla"}}}}, seal.By{})
	if err != nil {
		log.Fatal(err)
	}

	began := time.Now()
	for _, share := range d.Sets[0].Shares[:2] { // anna's and ben's
		if _, err := b.Admin().CheckShare(ctx, share, seal.By{Actor: "custodians' page"}); err != nil {
			log.Fatal(err)
		}
	}

	status, err := b.Admin().Inspect(ctx)
	if err != nil {
		log.Fatal(err)
	}
	r, err := report.New(report.Input{
		Status: status, Events: heard.Events(), At: time.Now(), Title: "payments",
		Campaigns: []report.Campaign{{Slot: "people", Began: began, Until: began.AddDate(0, 0, 14)}},
	})
	if err != nil {
		log.Fatal(err)
	}
	drill := r.Drills[0]
	fmt.Printf("%s: %d of %d confirmed\n", drill.State, drill.Confirmed, drill.Asked)
	for _, c := range drill.Sets[0].Custodians {
		if c.Missing {
			fmt.Println("ask", c.Name)
		}
	}
	// Output:
	// running: 2 of 3 confirmed
	// ask carla
}
