//go:build unix

package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// ErrNoServer says why a database is not run here.
var ErrNoServer = errors.New("no server is installed")

// A product is a database server that this package knows how to start.
type product struct {
	driver     string
	user       string                        // its package's own, to run it where root may not
	socket     string                        // its name in dir
	dsn        func(dir, user string) string // of the database that is there at first
	initialize func(dir string) []string     // the command that makes its files in dir
	cached     string                        // its name in the user's cache, if dir/data is all that the command makes
	serve      func(dir string) []string     // the command of the server, on a socket in dir and on no network
	env        []string                      // what the server has beside our environment
	interrupt  string                        // the signal that ends it at once, in good order
}

// A Server is a running server in a directory of its own. Every user may connect
// without a password.
type Server struct {
	product
	dir  string
	as   *syscall.SysProcAttr
	cmd  *exec.Cmd
	stop io.WriteCloser // its end stops the server, also when this process is killed
}

// start makes a new database and starts its server.
func (p product) start() (*Server, error) {
	dir, err := os.MkdirTemp("", "sealwright-db")
	if err != nil {
		return nil, err
	}
	s := &Server{product: p, dir: dir}
	if err := s.startNew(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) startNew() (err error) {
	if s.as, err = unprivileged(s.dir, s.user); err != nil {
		return err
	}
	if err := s.makeFiles(); err != nil {
		return err
	}
	return s.Run()
}

// Run starts the server, as after a Crash, and waits until it answers.
func (s *Server) Run() (err error) {
	// The shell stops the server and cleans up when its input ends, which it
	// does at the latest when this process does.
	const keep = `trap : INT TERM HUP; dir=$1 interrupt=$2; shift 2; "$@" & server=$!; read word
if [ "$word" = crash ]; then kill -KILL $server; wait $server; exit; fi
kill -$interrupt $server; wait $server; rm -rf "$dir"`
	s.cmd = exec.Command("/bin/sh", append([]string{"-c", keep, "sh", s.dir, s.interrupt}, s.serve(s.dir)...)...)
	s.cmd.Dir, s.cmd.SysProcAttr, s.cmd.Env = s.dir, s.as, append(os.Environ(), s.env...)
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if s.stop, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	return s.until(func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) })
}

// until asks a server until there is no error, for a minute.
func (s *Server) until(ask func(context.Context, *sql.DB) error) error {
	db, err := s.Open("")
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := ask(ctx, db)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("the server does not answer: %w\n%s", err, log)
		}
	}
}

// DSN returns how to connect as this user, or as the first one, who may do
// everything.
func (s *Server) DSN(user string) string { return s.dsn(s.dir, user) }

// Socket returns the path of the socket that the server listens on.
func (s *Server) Socket() string { return filepath.Join(s.dir, s.socket) }

// Open opens the database as this user, or as the first one.
func (s *Server) Open(user string) (*sql.DB, error) { return sql.Open(s.driver, s.DSN(user)) }

// Crash kills the server and leaves its files.
func (s *Server) Crash() error {
	_, err := io.WriteString(s.stop, "crash\n")
	s.stop.Close()
	s.cmd.Wait()
	return err
}

// Close stops the server, and removes all it stored.
func (s *Server) Close() {
	if s.stop != nil {
		s.stop.Close()
	}
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Wait()
	}
	os.RemoveAll(s.dir)
}

// unprivileged gives dir to a user who may run a server, which refuses root, and
// returns how to start it as that one.
func unprivileged(dir, name string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("no user to run the server as: %w", err)
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}
