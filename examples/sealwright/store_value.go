package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

// A takenStore is a record that a tool took out of a cluster, in a file: the value of
// a key of etcd, an object, or a Secret of Kubernetes. It is changed in the file, and
// the tool puts that back. Its revision is the digest of the file.
type takenStore struct {
	path string
	kind string // kindValue or kindSecret
}

// maxTaken is more than any Secret or value with a record has.
const maxTaken = 4 << 20

func (s *takenStore) Load(ctx context.Context) (rec []byte, rev string, err error) {
	data, err := s.read(ctx)
	if err != nil {
		return nil, "", err
	}
	if rec, err = s.decode(data); err != nil {
		return nil, "", err
	}
	return rec, digestOf(data), nil
}

func (s *takenStore) read(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", s.path, seal.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTaken+1))
	if err == nil && len(data) > maxTaken {
		err = fmt.Errorf("%w: %s has more than %d bytes", seal.ErrCorrupt, s.path, maxTaken)
	}
	return data, err
}

func (s *takenStore) decode(data []byte) ([]byte, error) {
	if s.kind == kindSecret {
		secret, err := parseSecret(s.path, data)
		if err != nil {
			return nil, err
		}
		rec, ok := secret.data["record"]
		if !ok {
			return nil, fmt.Errorf("the Secret in %s: %w", s.path, seal.ErrNotFound)
		}
		return lineEnded(rec), nil
	}
	number, rec, ok := bytes.Cut(data, []byte{'\n'})
	if !ok || !isNumber(number) {
		return nil, fmt.Errorf("%w: %s is no value of etcd, and no object, that holds a record", seal.ErrCorrupt, s.path)
	}
	return lineEnded(rec), nil
}

// Swap replaces the file. Whoever does so at the same moment finds the other's new
// file there.
func (s *takenStore) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	if len(rec) > seal.MaxRecordSize {
		return "", seal.ErrTooLarge
	}
	path := s.path + ".partial"
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s %w: another run writes it now, or an earlier one left it: look at it and remove it", path, errThere)
	}
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	next, err := s.next(ctx, rec, old)
	if err == nil {
		_, err = file.Write(next)
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", err
	}
	if err = os.Rename(path, s.path); err != nil {
		return "", err
	}
	return digestOf(next), syncDir(filepath.Dir(s.path))
}

// next is the file with another record, if it is at a revision.
func (s *takenStore) next(ctx context.Context, rec []byte, old string) ([]byte, error) {
	data, err := s.read(ctx)
	gone := errors.Is(err, seal.ErrNotFound)
	if err != nil && !gone {
		return nil, err
	}
	present := ""
	if !gone {
		if _, err := s.decode(data); err == nil {
			present = digestOf(data)
		} else if !errors.Is(err, seal.ErrNotFound) {
			return nil, err
		}
	}
	if present != old {
		return nil, seal.ErrConflict
	}
	number := newNumber()
	if s.kind == kindValue {
		return append(append(number, '\n'), rec...), nil
	}
	if gone {
		return nil, fmt.Errorf("%s: make the Secret, empty, and take it: kubectl get secret NAME -o json > %s", s.path, s.path)
	}
	secret, err := parseSecret(s.path, data)
	if err != nil {
		return nil, err
	}
	return secret.with(rec, number)
}

// newNumber is what stands before or beside a record: 32 hexadecimal digits, new with
// each.
func newNumber() []byte {
	var b [16]byte
	rand.Read(b[:])
	return hex.AppendEncode(nil, b[:])
}

func isNumber(text []byte) bool {
	return len(text) == 32 && len(bytes.Trim(text, "0123456789abcdef")) == 0
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// lineEnded is a record as it was before tools added a line feed to the one that it
// ends in, or took that.
func lineEnded(rec []byte) []byte {
	whole := bytes.TrimRight(rec, "\r\n")
	if len(rec)-len(whole) > 3 || !bytes.HasSuffix(whole, []byte{'}'}) {
		return rec
	}
	return append(bytes.Clone(whole), '\n')
}

// A secret is a Secret of Kubernetes as kubectl prints it.
type secret struct {
	object map[string]json.RawMessage // all of it, to be put back
	data   map[string][]byte
}

func parseSecret(path string, text []byte) (*secret, error) {
	s := &secret{}
	var known struct {
		Kind string            `json:"kind"`
		Data map[string][]byte `json:"data"`
	}
	if err := errors.Join(json.Unmarshal(text, &s.object), json.Unmarshal(text, &known)); err != nil {
		return nil, fmt.Errorf("%w: %s is no Secret as kubectl get secret NAME -o json prints it", seal.ErrCorrupt, path)
	}
	if known.Kind != "Secret" {
		return nil, fmt.Errorf("%w: %s is a %.20q of Kubernetes, and no Secret: name the one: kubectl get secret NAME -o json", seal.ErrCorrupt, path, known.Kind)
	}
	s.data = known.Data
	return s, nil
}

// with is the Secret with another record. Its resourceVersion stays, so that kubectl
// replace refuses it where a server has changed the Secret since.
func (s *secret) with(rec, number []byte) ([]byte, error) {
	if s.data == nil {
		s.data = map[string][]byte{}
	}
	s.data["record"], s.data["revision"] = rec, number
	data, err := json.Marshal(s.data)
	if err != nil {
		return nil, err
	}
	s.object["data"] = data
	out, err := json.MarshalIndent(s.object, "", "  ")
	return append(out, '\n'), err
}

// The beginnings of files that tools make.
var (
	valueShape  = regexp.MustCompile(`^[0-9a-f]{32}\n\{"format":`)
	keyedShape  = regexp.MustCompile(`^[^\n]{1,400}\n[0-9a-f]{32}\n`)
	secretShape = regexp.MustCompile(`^\s*\{\s*"(apiVersion|kind|data|metadata)":`)
)

// sniffTaken tells what a file is that a tool has made, by its beginning; "" for
// something else. The error says what to take instead.
func sniffTaken(path string, begin []byte) (kind string, err error) {
	switch text := string(begin); {
	case valueShape.Match(begin):
		return kindValue, nil
	case secretShape.Match(begin):
		return kindSecret, nil
	case keyedShape.Match(begin):
		return "", fmt.Errorf("%s begins with the name of the key: take the value alone: etcdctl get KEY --print-value-only > %s", path, path)
	case strings.HasPrefix(text, "apiVersion:"):
		return "", fmt.Errorf("%s is YAML: take the Secret as JSON: kubectl get secret NAME -o json > %s", path, path)
	case strings.HasPrefix(text, "eyJmb3JtYXQiO"), strings.HasPrefix(text, "ZXlKbWIz"):
		return "", fmt.Errorf("%s is a record in base64: pipe it through base64 -d first", path)
	}
	return "", nil
}

// putBack says how a record that was taken out of a cluster gets back there.
func (p place) putBack() string {
	switch p.kind {
	case kindValue:
		return fmt.Sprintf("put %s back before a server starts: etcdctl put KEY < %s, or upload it as the object", p.name, p.name)
	case kindSecret:
		return fmt.Sprintf("put %s back before a server starts: kubectl replace -f %s", p.name, p.name)
	}
	return ""
}
