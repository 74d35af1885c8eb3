//go:build unix

package dbtest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sealwright/sealwright/internal/servercache"
)

// makeFiles makes the server's files in its directory. Those of a product that says so
// are made once and copied then, out of the user's cache: that is most of what it takes
// to start a server.
func (s *Server) makeFiles() error {
	if s.cached == "" {
		return s.initializeAnew()
	}
	version, err := s.version()
	if err != nil {
		return s.initializeAnew()
	}
	made, data := false, filepath.Join(s.dir, "data")
	kept, err := servercache.Fetch(s.cached, version, func(dir string) error {
		made = true
		if err := s.initializeAnew(); err != nil {
			return err
		}
		return os.CopyFS(filepath.Join(dir, "data"), os.DirFS(data))
	})
	switch {
	case made && exists(data): // whether they could be kept or not, or another did so first
		return nil
	case made:
		return err
	case err == nil && s.copyFiles(filepath.Join(kept, "data"), data) == nil:
		return nil
	}
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	return s.initializeAnew()
}

func (s *Server) initializeAnew() error {
	command := s.initialize(s.dir)
	initialize := exec.Command(command[0], command[1:]...)
	initialize.Dir, initialize.SysProcAttr = s.dir, s.as
	if out, err := initialize.CombinedOutput(); err != nil {
		os.RemoveAll(filepath.Join(s.dir, "data"))
		return fmt.Errorf("%s: %w\n%s", command[0], err, out)
	}
	return nil
}

// version is another one where the command or one of the programs is.
func (s *Server) version() (string, error) {
	const dir = "/"
	command := s.initialize(dir)
	h := sha256.New()
	fmt.Fprintf(h, "%q", command)
	for _, program := range []string{command[0], s.serve(dir)[0]} {
		info, err := os.Stat(program)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %d %d", program, info.Size(), info.ModTime().UnixNano())
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

// copyFiles copies a directory, for the user who runs the server alone.
func (s *Server) copyFiles(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		if err == nil && s.as != nil {
			err = os.Lchown(path, int(s.as.Credential.Uid), int(s.as.Credential.Gid))
		}
		return err
	})
}
