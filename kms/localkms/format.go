package localkms

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/sealwright/sealwright/internal/aead"
)

const (
	magic       = "sealwright localkms "
	header      = magic + "1\n"
	checkPrefix = "check "
	checkSize   = len(checkPrefix) + 2*32 + 1
	encodedSize = 44 // 32 bytes in base64
	maxVersions = 1000
	maxFileSize = 64 << 10 // 1,000 versions take 49 KiB
)

var (
	errOtherFile = errors.New("it is no key file of localkms")
	errNewer     = errors.New("its format is newer than this program: upgrade")
	errDamaged   = errors.New("it is damaged: restore it from its copy")
)

// keyFile is the content of a file: the versions of a key, 1 first, and the id
// that they share.
type keyFile struct {
	id   string
	keys [][]byte
}

// addVersion appends a new version.
func (f *keyFile) addVersion() {
	key := make([]byte, aead.KeySize)
	rand.Read(key)
	f.keys = append(f.keys, key)
	f.id = keyID(f.keys[0])
}

// wipe clears the keys. The id stays.
func (f *keyFile) wipe() {
	for _, k := range f.keys {
		clear(k)
	}
}

// encode returns the file's bytes, which the caller wipes.
func (f *keyFile) encode() []byte {
	out := make([]byte, 0, len(header)+len(f.keys)*(len("1000 ")+encodedSize+1)+checkSize)
	out = append(out, header...)
	for i, key := range f.keys {
		out = strconv.AppendInt(out, int64(i+1), 10)
		out = append(out, ' ')
		out = base64.StdEncoding.AppendEncode(out, key)
		out = append(out, '\n')
	}
	return append(out, checkLine(out)...)
}

// parse reads what encode wrote, and nothing else. It keeps nothing of data,
// which the caller wipes.
func parse(data []byte) (_ *keyFile, err error) {
	if !bytes.HasPrefix(data, []byte(header)) {
		if version, ok := bytes.CutPrefix(data, []byte(magic)); ok && len(version) > 0 && version[0] >= '1' && version[0] <= '9' {
			return nil, errNewer
		}
		return nil, errOtherFile
	}
	if len(data) < len(header)+checkSize || len(data) > maxFileSize {
		return nil, errDamaged
	}
	body := data[:len(data)-checkSize]
	if string(data[len(body):]) != checkLine(body) {
		return nil, errDamaged
	}
	f := new(keyFile)
	defer func() {
		if err != nil {
			f.wipe()
		}
	}()
	for line := range bytes.Lines(body[len(header):]) {
		text, ok := bytes.CutPrefix(line, fmt.Appendf(nil, "%d ", len(f.keys)+1))
		// Strict decoding still skips line breaks, hence the lengths.
		if !ok || len(text) != encodedSize+1 || text[encodedSize] != '\n' {
			return nil, errDamaged
		}
		key := make([]byte, encodedSize/4*3)
		n, err := base64.StdEncoding.Strict().Decode(key, text[:encodedSize])
		f.keys = append(f.keys, key[:n])
		if err != nil || n != aead.KeySize {
			return nil, errDamaged
		}
	}
	if len(f.keys) == 0 || len(f.keys) > maxVersions {
		return nil, errDamaged
	}
	f.id = keyID(f.keys[0])
	return f, nil
}

func keyID(first []byte) string {
	return hex.EncodeToString(aead.Derive(first, nil, "sealwright localkms 1: key id", 16))
}

// checkLine returns the last line. A bare SHA-256 would do, but leaves a copy of
// the end of the body behind in memory, which Derive does not.
func checkLine(body []byte) string {
	return fmt.Sprintf("%s%x\n", checkPrefix, aead.Derive(body, nil, "sealwright localkms 1: check", 32))
}
