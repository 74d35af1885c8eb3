package filestore

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/seal"
)

// The file of a Store: one line of header, then the record.
//
//	sealwright record 1 <random, 32 hex digits> <SHA-256 of the record, 64 hex digits>\n
const (
	recordMagic      = "sealwright record "
	recordVersion    = recordMagic + "1 "
	recordNonceSize  = 32 // hex digits
	recordHeaderSize = len(recordVersion) + recordNonceSize + 1 + 2*sha256.Size + 1
)

func recordHeader(nonce string, rec []byte) []byte {
	return fmt.Appendf(nil, "%s%s %x\n", recordVersion, nonce, sha256.Sum256(rec))
}

// encodeRecordFile returns a new file for the record, and its revision.
func encodeRecordFile(rec []byte) (data []byte, rev string) {
	nonce := make([]byte, recordNonceSize/2)
	rand.Read(nonce)
	data = append(recordHeader(hex.EncodeToString(nonce), rec), rec...)
	return data, recordRevision(data)
}

// decodeRecordFile returns the record within data.
func decodeRecordFile(data []byte) (rec []byte, err error) {
	const remedy = "restore it from a backup"
	switch {
	case len(data) == 0:
		return nil, fmt.Errorf("%w: the file is empty: %s", seal.ErrCorrupt, remedy)
	case !bytes.HasPrefix(data, []byte(recordMagic)):
		return nil, fmt.Errorf("%w: the file does not begin with %q: is it another file? If not, %s", seal.ErrCorrupt, recordMagic, remedy)
	case !bytes.HasPrefix(data, []byte(recordVersion)):
		return nil, fmt.Errorf("%w: the file does not begin with %q", seal.ErrNewerFormat, recordVersion)
	case len(data) < recordHeaderSize:
		return nil, fmt.Errorf("%w: the file ends in its header: %s", seal.ErrCorrupt, remedy)
	}
	rec = data[recordHeaderSize:]
	nonce := data[len(recordVersion):][:recordNonceSize]
	if !bytes.HasPrefix(data, recordHeader(string(nonce), rec)) {
		return nil, fmt.Errorf("%w: the file was cut or altered: %s", seal.ErrCorrupt, remedy)
	}
	return rec, nil
}

func recordRevision(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// readRecordFile reads and checks a file. It returns seal.ErrNotFound, and no info,
// if there is none.
func readRecordFile(name string) (rec []byte, rev string, info fs.FileInfo, err error) {
	f, err := durable.OpenRegular(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil, seal.ErrNotFound
	}
	if err != nil {
		return nil, "", nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, "", nil, err
	}
	if err := checkExposure(info); err != nil {
		return nil, "", nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(recordHeaderSize+seal.MaxRecordSize+1)))
	if err != nil {
		return nil, "", nil, err
	}
	if len(data) > recordHeaderSize+seal.MaxRecordSize {
		return nil, "", nil, fmt.Errorf("%w: the file is larger than any record: is it another file?", seal.ErrCorrupt)
	}
	if rec, err = decodeRecordFile(data); err != nil {
		return nil, "", nil, err
	}
	return rec, recordRevision(data), info, nil
}
