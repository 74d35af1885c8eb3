package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

// keeper is what every replica of the server runs beside the Barrier: it rotates
// at 30 days, and does by itself what this story did by hand. Show is told of each
// step.
func (s *server) keeper(show func(migrate.KeeperStatus)) (*migrate.Keeper, error) {
	source := func(name string, src migrate.Source) migrate.KeeperSource {
		return migrate.KeeperSource{Name: name, Source: src, Rewrap: migrate.RewrapOptions{
			Bookmark:       &sqlsource.Bookmark{DB: s.db, Dialect: sqlsource.SQLite, Table: "rewrapped", Name: name},
			ItemsPerSecond: 4000, // leave some to the others
		}}
	}
	return migrate.NewKeeper(s.b, migrate.KeeperConfig{
		Sources:     []migrate.KeeperSource{source("tokens", s.tokens), source("sessions", s.sessions)},
		RotateAfter: 30 * 24 * time.Hour,
		KeepOld:     migrate.AtOnce, // to be seen here; a server waits for its backups
		OnStatus:    show,
	})
}

// keep is the chapter in which the server is left alone. So as not to wait 30 days
// the rotation is made by hand.
func (s *story) keep(ctx context.Context) error {
	s.begin("From now on a Keeper does all of that by itself")
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	statuses := make(chan migrate.KeeperStatus, 1)
	k, err := s.srv.keeper(func(status migrate.KeeperStatus) {
		select {
		case <-statuses: // the newest is what counts
		default:
		}
		statuses <- status
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- s.srv.b.Run(ctx) }()
	go func() { ended <- k.Run(ctx) }()
	if err := s.srv.b.Rotate(ctx, operator); err != nil {
		return err
	}
	err = s.watch(ctx, statuses)
	stop()
	for range cap(ended) {
		if e := <-ended; !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// watch shows what the Keeper is at, until the second term is gone.
func (s *story) watch(ctx context.Context, statuses <-chan migrate.KeeperStatus) error {
	was := migrate.KeeperStatus{}
	for {
		var status migrate.KeeperStatus
		select {
		case status = <-statuses:
		case <-ctx.Done():
			return ctx.Err()
		}
		if status.Err != nil {
			return status.Err
		}
		if status.Phase != was.Phase || status.Source != was.Source {
			say("the Keeper: %s %s", status.Phase, status.Source)
		}
		was = status
		if terms := s.srv.b.Keyring().Terms(); status.Phase != migrate.KeeperIdle || len(terms) != 1 || terms[0].Number != 3 {
			continue
		}
		for _, src := range status.Sources {
			say("%-9s %d items rewrapped, %d under term 3", src.Name, src.Progress.Rewrapped, src.Items["3"])
		}
		if n := status.Sources[0].Items["3"]; n != int64(len(s.tokens)) {
			return fmt.Errorf("%d of %d tokens are under term 3", n, len(s.tokens))
		}
		say("the next rotation is due on %s.", status.Due.Format(time.DateOnly))
		return s.verify(ctx, "everything reads under the third term, the only one")
	}
}
