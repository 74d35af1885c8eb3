//go:build unix

package dbtest

import (
	"errors"
	"sync"
	"testing"
)

// A Set is the servers of a test binary, each started at its first use. TestMain
// closes it. The zero Set is ready for use.
type Set struct {
	mu      sync.Mutex
	started []*Server
}

// A Start starts a server, or returns the one that it has started.
type Start func() (*Server, error)

// Keep has a server be started once, and closed with the set.
func (s *Set) Keep(start Start) Start {
	return sync.OnceValues(func() (*Server, error) {
		server, err := start()
		if err == nil {
			s.mu.Lock()
			s.started = append(s.started, server)
			s.mu.Unlock()
		}
		return server, err
	})
}

// PostgreSQL is [StartPostgreSQL], once.
func (s *Set) PostgreSQL(options ...string) Start {
	return s.Keep(func() (*Server, error) { return StartPostgreSQL(options...) })
}

// MariaDB is [StartMariaDB], once.
func (s *Set) MariaDB(options ...string) Start {
	return s.Keep(func() (*Server, error) { return StartMariaDB(options...) })
}

// PgBouncer is [StartPgBouncer] before one of the set's servers, once.
func (s *Set) PgBouncer(before Start, connections int) Start {
	return s.Keep(func() (*Server, error) {
		server, err := before()
		if err != nil {
			return nil, err
		}
		return StartPgBouncer(server, connections)
	})
}

// Close stops the servers that were started, the last one first.
func (s *Set) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.started) - 1; i >= 0; i-- {
		s.started[i].Close()
	}
	s.started = nil
}

// Need returns the server, or skips the test where none is installed.
func (start Start) Need(t testing.TB) *Server {
	t.Helper()
	s, err := start()
	if errors.Is(err, ErrNoServer) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}
