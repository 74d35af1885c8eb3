package report_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
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

// A server lets its auditor read the report. Several replicas keep a journal each.
func ExampleHandler() {
	dir, err := os.MkdirTemp("", "journals")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	mine, other := journal.File{Path: filepath.Join(dir, "one")}, journal.File{Path: filepath.Join(dir, "two")}
	var journals []*journal.Journal
	for _, place := range []journal.File{mine, other} { // the other one's comes from its machine
		j, err := journal.Open(journal.Config{Place: place, Name: filepath.Base(place.Path)})
		if err != nil {
			log.Fatal(err)
		}
		defer j.Close()
		journals = append(journals, j)
	}
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), OnEvent: journals[0].Event})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Init(context.Background(), map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{}); err != nil {
		log.Fatal(err)
	}

	handler, err := report.Handler(report.Config{
		Barrier: b, Title: "payments",
		Authorize: func(r *http.Request) error {
			if r.Header.Get("Authorization") != "Bearer auditor" { // yours, in constant time
				return errors.New("not the auditor")
			}
			return nil
		},
		Events: func(ctx context.Context) iter.Seq2[seal.Event, error] {
			return report.Merge(journal.Read(ctx, mine), journal.Read(ctx, other))
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	request := httptest.NewRequest("GET", "/report?format=text&drill=people&since=2026-11-01", nil)
	request.Header.Set("Authorization", "Bearer auditor")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	fmt.Println(answer.Code)
	// Output: 200
}
