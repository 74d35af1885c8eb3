package main

import (
	"context"
	"log/slog"

	audit "github.com/sealwright/sealwright/seal/journal"
)

// openAudit opens the journal of attempts on the seal, and logs what hinders it: a
// disk that is full or hangs must not keep the server sealed. One that should
// rather be sealed than go on unseen calls Seal in OnFailure.
func openAudit(place audit.Place, log *slog.Logger) (*audit.Journal, error) {
	return audit.Open(audit.Config{
		Place:     place,
		Name:      replica,
		MaxSize:   64 << 20,
		OnFailure: func(err error) { log.Error("the journal does not have all that happened", "error", err) },
	})
}

// runAudit runs the journal, and logs its head now and then: where the log goes to
// another machine, what was cut off the journal is noticed there.
func (s *server) runAudit(ctx context.Context, log *slog.Logger) error {
	if err := s.audit.Flush(ctx); err == nil { // else OnFailure has it
		log.Info("journal opened", "head", s.audit.Status().Head)
	}
	return s.audit.Run(ctx)
}

// closeAudit ends the journal, with the last words of the barrier in it.
func (s *server) closeAudit() {
	if s.audit == nil {
		return
	}
	if err := s.audit.Close(); err != nil {
		s.log.Error("the journal was not ended in order", "error", err)
		return
	}
	s.log.Info("journal closed", "head", s.audit.Status().Head)
}
