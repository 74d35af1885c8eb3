//go:build unix

package postgrestest

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

// ErrNoServer says why PostgreSQL is not run here.
var ErrNoServer = errors.New("no PostgreSQL server is installed: no directory with initdb and postgres in the PATH or in /usr/lib/postgresql")

// Admin is the user who may do everything.
const Admin = "admin"

// A Server is a PostgreSQL server on a socket in a directory of its own. It
// listens to no network, and every user may connect without a password.
type Server struct {
	dir  string
	cmd  *exec.Cmd
	stop io.Closer // its end stops the server, also when this process is killed
}

// Start starts a server, or returns [ErrNoServer]. It must be closed, and ends at
// the latest with this process.
func Start() (s *Server, err error) {
	bin, err := serverBinaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sealwright-pg")
	if err != nil {
		return nil, err
	}
	s = &Server{dir: dir}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	as, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", Admin, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, as
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// The shell stops the server and cleans up when its input ends, which it
	// does at the latest when this process does.
	const keep = `dir=$1; shift; "$@" & server=$!; read _; kill -INT $server; wait $server; rm -rf "$dir"`
	s.cmd = exec.Command("/bin/sh", "-c", keep, "sh", dir, filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=")
	s.cmd.Dir, s.cmd.SysProcAttr = dir, as
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if s.stop, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	return s, s.wait()
}

// wait waits until the server answers.
func (s *Server) wait() error {
	db, err := sql.Open("pgx", DSN(s.dir, Admin))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := db.PingContext(ctx)
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

// DSN returns how to connect as this user.
func (s *Server) DSN(user string) string { return DSN(s.dir, user) }

// DSN returns how to connect as this user to the server whose socket is, or
// would be, in a directory.
func DSN(dir, user string) string {
	return fmt.Sprintf("host=%s user=%s dbname=postgres sslmode=disable", dir, user)
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

// serverBinaries returns the directory of initdb and postgres: the server's own,
// as links to single programs do not lead initdb to the others.
func serverBinaries() (string, error) {
	var dirs []string
	if postgres, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(postgres); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for _, dir := range append(dirs, installed...) {
		_, initdbErr := os.Stat(filepath.Join(dir, "initdb"))
		_, postgresErr := os.Stat(filepath.Join(dir, "postgres"))
		if initdbErr == nil && postgresErr == nil {
			return dir, nil
		}
	}
	return "", ErrNoServer
}

// unprivileged gives dir to a user who may run the server, which refuses root,
// and returns how to start it as that one.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
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
