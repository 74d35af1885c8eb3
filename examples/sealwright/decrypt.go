package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
)

var errWhere = errors.New("a value is bound to its place")

// placeFlags say what a value is bound to.
type placeFlags struct {
	Place []string `placeholder:"NAME" sep:"none" help:"The parts of the place, as the server's Box(…) names them: --place tokens --place secret."`
}

type decryptCmd struct {
	sharesFlags `embed:""`
	outFlags    `embed:""`
	placeFlags  `embed:""`
	ID          []string `name:"id" placeholder:"ID" sep:"none" help:"The parts of the value's id: the primary key of its row."`
	AAD         string   `name:"aad" placeholder:"BASE64" help:"The associated data in base64, in place of --place and --id."`
	Value       string   `arg:"" optional:"" help:"The encrypted value, sw1.… or base64. Default: --value-file."`
	ValueFile   string   `placeholder:"FILE" help:"The encrypted value in a file, as text or bytes; - for standard input."`
}

func (decryptCmd) Help() string {
	return `Opens a copy of the record, and decrypts one value. The plaintext goes to --out or a pipe.

  sealwright decrypt --store … --place tokens --place secret --id 17 sw1.AQAAAAH… --out token
  sealwright decrypt --store … --place tokens --place secret --id 17 --value-file value.bin | less

Next: sealwright export, for all of them.`
}

const maxValue = 256 << 20

func (c *decryptCmd) Run(ctx context.Context, a *app) error {
	aad, err := c.aad()
	if err != nil {
		return err
	}
	value, err := c.value(a)
	if err != nil {
		return err
	}
	out, err := c.create(a)
	if err != nil {
		return err
	}
	_, b, err := a.openCopy(ctx, &c.sharesFlags)
	if err != nil {
		return out.keep(err)
	}
	plain, err := decrypt(b, value, aad)
	if err != nil {
		return out.keep(explain(err))
	}
	defer clear(plain)
	if a.cli.JSON {
		line := valueLine(nil, plain)
		defer clear(line)
		out.WriteString("{")
		out.Write(line)
		out.WriteString("}\n")
	} else {
		out.Write(plain)
	}
	return out.finish()
}

func (c *decryptCmd) aad() ([]byte, error) {
	switch {
	case c.AAD != "" && (c.Place != nil || c.ID != nil):
		return nil, fmt.Errorf("%w: give --aad, or --place and --id", errWhere)
	case c.AAD != "":
		aad, err := base64.StdEncoding.DecodeString(c.AAD)
		if err != nil {
			return nil, fmt.Errorf("%w: --aad is no base64", errWhere)
		}
		return aad, nil
	case len(c.Place) == 0 || strings.Join(c.ID, "") == "":
		return nil, fmt.Errorf("%w: give --place for each part of it, and --id", errWhere)
	}
	return keyring.AAD(append(c.Place, c.ID...)...), nil
}

func (c *decryptCmd) value(a *app) ([]byte, error) {
	switch {
	case c.Value != "" && c.ValueFile != "":
		return nil, errors.New("there are two values: give one as an argument, or --value-file")
	case c.Value != "":
		return storedValue([]byte(c.Value))
	case c.ValueFile == "":
		return nil, errors.New("no value is given: give it as an argument, or --value-file FILE, or --value-file -")
	}
	b, err := a.readAll(c.ValueFile, "value", maxValue)
	if err != nil {
		return nil, fmt.Errorf("--value-file: %w", err)
	}
	return storedValue(b)
}

// storedValue is a ciphertext as it is stored: bytes, or the text of the keyring. In
// base64 or hexadecimal it is one that was copied out of a database's client.
func storedValue(b []byte) ([]byte, error) {
	if _, err := keyring.TermOf(b); err == nil {
		return b, nil
	}
	text := string(bytes.TrimSpace(b))
	if strings.HasPrefix(text, "sw1.") {
		return []byte(text), nil
	}
	for _, decode := range []func(string) ([]byte, error){
		func(s string) ([]byte, error) { return hex.DecodeString(strings.TrimPrefix(s, `\x`)) },
		base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if raw, err := decode(text); err == nil {
			if _, err := keyring.TermOf(raw); err == nil {
				return raw, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: it is neither sw1.… nor bytes of the keyring, also not in base64 or hexadecimal", keyring.ErrFormat)
}

// decrypt decrypts a value as it is stored.
func decrypt(b *seal.Barrier, value, aad []byte) ([]byte, error) {
	if bytes.HasPrefix(value, []byte("sw1.")) {
		text, err := b.Keyring().DecryptString(string(value), aad)
		return []byte(text), err
	}
	return b.Keyring().Decrypt(nil, value, aad)
}

// explain says what to do about a value.
func explain(err error) error {
	switch {
	case errors.Is(err, keyring.ErrCorrupt):
		return fmt.Errorf("%w: look whether place and id are right", err)
	case errors.Is(err, keyring.ErrUnknownTerm):
		return fmt.Errorf("%w: look for a later record", err)
	}
	return err
}

// valueLine appends a value as a member of JSON: as text, or in base64 where it is
// none.
func valueLine(line, plain []byte) []byte {
	if !utf8.Valid(plain) {
		line = append(line, `"base64":"`...)
		return append(base64.StdEncoding.AppendEncode(line, plain), '"')
	}
	return appendText(append(line, `"value":`...), plain)
}

// appendText appends a text in JSON. Encoding/json would leave copies of it.
func appendText(line, text []byte) []byte {
	line = append(line, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			line = append(line, '\\', c)
		case c < ' ' || c == 127:
			line = append(line, `\u00`...)
			line = hex.AppendEncode(line, []byte{c})
		default:
			line = append(line, c)
		}
	}
	return append(line, '"')
}
