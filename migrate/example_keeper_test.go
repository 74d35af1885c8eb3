package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// Every replica of a server has a Keeper beside the Barrier's Run; one of them
// works. Here the first rotation is made by hand, so as not to wait 30 days.
func ExampleKeeper() {
	cloud := &kmstest.Fake{}
	var metrics sealhttp.Metrics
	b, err := seal.Open(seal.Config{
		Store:   seal.NewMemStore(),
		KMS:     map[string]kms.Wrapper{"cloud": cloud.Key("prod")},
		OnEvent: metrics.Event,
		Poll:    100 * time.Millisecond, // for this Example; the default is right
		// With several replicas, how long they take to notice a change:
		// Propagation: time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		log.Fatal(err)
	}
	// What the server writes with a Box, a source of the same place finds: here in
	// memory, in production by sqlsource.Open, …
	tokens, sessions := &memSource{aad: b.Box("tokens", "secret").AAD}, &memSource{aad: b.Box("sessions").AAD}
	for _, user := range []string{"ada", "bob", "cyd"} {
		token, err := b.Box("tokens", "secret").Encrypt(ctx, []byte("token of "+user), user)
		if err != nil {
			log.Fatal(err)
		}
		tokens.put(user, token)
		session, err := b.Box("sessions").Encrypt(ctx, []byte("session of "+user), user)
		if err != nil {
			log.Fatal(err)
		}
		sessions.put(user, session)
	}

	retired := make(chan struct{})
	once := sync.OnceFunc(func() { close(retired) })
	keeper, err := migrate.NewKeeper(b, migrate.KeeperConfig{
		Sources: []migrate.KeeperSource{
			{Name: "tokens.secret", Source: tokens, Rewrap: migrate.RewrapOptions{Workers: 2, ItemsPerSecond: 2000}},
			{Name: "sessions", Source: sessions},
		},
		RotateAfter: 30 * 24 * time.Hour,
		KeepOld:     migrate.AtOnce, // a server keeps them for as long as its backups
		Metrics:     &metrics,
		OnStatus: func(s migrate.KeeperStatus) {
			if s.Phase == migrate.KeeperIdle && s.Term == 2 {
				once()
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- b.Run(ctx) }()
	go func() { ended <- keeper.Run(ctx) }()

	if err := b.Rotate(ctx, seal.By{Actor: "operator"}); err != nil {
		log.Fatal(err)
	}
	<-retired
	for _, t := range b.Keyring().Terms() {
		fmt.Println("term", t.Number)
	}
	for _, s := range keeper.Status().Sources {
		fmt.Println(s.Name, s.Progress.Rewrapped, "rewrapped;", "under term 2:", s.Items["2"])
	}
	cancel()
	fmt.Println(errors.Join(<-ended, <-ended))
	// Output:
	// term 2
	// tokens.secret 3 rewrapped; under term 2: 3
	// sessions 3 rewrapped; under term 2: 3
	// context canceled
	// context canceled
}
