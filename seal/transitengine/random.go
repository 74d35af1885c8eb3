package transitengine

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/keyring/named"
)

// random answers with random bytes: how many stands in the path, or in the body.
// The source, which Vault takes too, changes nothing.
func random(c *call) error {
	n, err := c.field("bytes").int("bytes")
	if err != nil {
		return err
	}
	for part := range strings.SplitSeq(c.rest, "/") {
		switch part {
		case "", "platform", "seal", "all":
			continue
		}
		if n, err = strconv.Atoi(part); err != nil {
			return badRequest("error parsing url-set byte count: it is a number")
		}
	}
	if _, err := c.field("source").string("source"); err != nil {
		return err
	}
	if n == 0 {
		n = 32
	}
	if n < 1 {
		return badRequest(`"bytes" cannot be less than 1`)
	}
	if n > named.MaxRandom {
		return badRequest(`"bytes" should be less than %d`, named.MaxRandom)
	}
	b, err := named.Random(n)
	if err != nil {
		return err
	}
	defer clear(b)
	return c.encoded("random_bytes", b, "base64")
}

// encoded answers with bytes in the format that the request wants.
func (c *call) encoded(name string, b []byte, usual string) error {
	format, err := c.field("format").string("format")
	if err != nil {
		return err
	}
	if format == "" {
		format = usual
	}
	switch format {
	case "hex":
		return c.data(map[string]any{name: hex.EncodeToString(b)})
	case "base64":
		return c.data(map[string]any{name: base64.StdEncoding.EncodeToString(b)})
	}
	return badRequest(`unsupported encoding format; must be "hex" or "base64"`)
}

func hash(c *call) error {
	algorithm, err := c.field("algorithm").string("algorithm")
	if err != nil {
		return err
	}
	if c.rest != "" {
		algorithm = c.rest
	}
	if c.fields.get("input").kind == 0 {
		return badRequest("missing input")
	}
	got, err := c.decode(c.field("input"))
	if err != nil {
		return badRequest("unable to decode input as base64: %s", told(err).words)
	}
	sum, err := named.Hash(algorithm, got[0])
	if err != nil {
		return err
	}
	return c.encoded("sum", sum, "hex")
}
