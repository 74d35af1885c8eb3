package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// clients are those in the file of that name: on each line a name, which is that
// of its key too, and the SHA-256 of its token.
type clients struct {
	dir string
}

// operators is the name of the token that may do everything but read keys.
const operators = "operator"

var clientName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$`)

func (c clients) path() string { return filepath.Join(c.dir, "clients") }

// add makes a token for a client, which had none before.
func (c clients) add(name string) (token string, err error) {
	if !clientName.MatchString(name) {
		return "", errors.New("a client's name is 1 to 64 lower case letters and digits, and between them dots and hyphens")
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(c.path(), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if known, _, _ := strings.Cut(lines.Text(), " "); known == name {
			return "", fmt.Errorf("%s has a token: take its line out of %s to make another", name, c.path())
		}
	}
	token = "s." + rand.Text()
	digest := sha256.Sum256([]byte(token))
	if _, err := fmt.Fprintf(f, "%s %x\n", name, digest); err != nil {
		return "", err
	}
	return token, f.Sync()
}

// of returns whose token it is; "" for nobody's.
func (c clients) of(token string) (string, error) {
	content, err := os.ReadFile(c.path())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	got := sha256.Sum256([]byte(token))
	whose := ""
	for line := range bytes.Lines(content) {
		name, text, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		digest, err := hex.DecodeString(text)
		if err == nil && clientName.MatchString(name) && subtle.ConstantTimeCompare(digest, got[:]) == 1 {
			whose = name
		}
	}
	return whose, nil
}
