package transitengine

import (
	"encoding/base64"
	"net/http"
	"strconv"

	"github.com/sealwright/sealwright/keyring/named"
)

// An item is what is encrypted, decrypted, signed or verified: a request's
// fields, or one element of its batch.
type item struct {
	plaintext, ciphertext, input, signature, hmac value
	context, aad, nonce, reference                value
	version                                       int
}

// item reads a request's fields.
func (c *call) item(get func(string) value) (in item, err error) {
	in = item{
		plaintext: get("plaintext"), ciphertext: get("ciphertext"), context: get("context"),
		aad: get("associated_data"), nonce: get("nonce"),
	}
	in.version, err = get("key_version").int("key_version")
	return in, err
}

// items reads a batch. What is of the wrong type anywhere in it fails the whole,
// as in Vault; and so does one that lacks the field that all must have.
func (c *call) items(batch value, required, lacks string) ([]item, error) {
	if batch.kind != '[' {
		return nil, unparsed("source data must be an array or slice")
	}
	var out []item
	var buf [maxFields]field
	err := batch.each(func(v value) error {
		n := len(out)
		if n == named.MaxBatch {
			return badRequest("a batch has at most %d items: split it", named.MaxBatch)
		}
		if v.kind != '{' {
			return unparsed("[%d] expected a map", n)
		}
		fs, err := objectOf(v, fields(buf[:0]))
		if err != nil {
			return err
		}
		in := item{input: fs.get("input"), signature: fs.get("signature"), hmac: fs.get("hmac"), reference: fs.get("reference")}
		texts := []struct {
			name string
			into *value
		}{
			{"plaintext", &in.plaintext}, {"ciphertext", &in.ciphertext}, {"context", &in.context}, {"associated_data", &in.aad},
			{"nonce", &in.nonce}, {"input", &in.input}, {"signature", &in.signature}, {"hmac", &in.hmac}, {"reference", &in.reference},
		}
		for _, t := range texts {
			if *t.into = fs.get(t.name); t.into.kind != 0 && t.into.kind != '"' {
				return unparsed("'[%d].%s' expected type 'string'", n, t.name)
			}
		}
		if in.version, err = fs.get("key_version").int("key_version"); err != nil {
			return unparsed("'[%d].key_version' expected type 'int'", n)
		}
		if required != "" && fs.get(required).kind == 0 {
			return unparsed("'[%d].%s' %s", n, required, lacks)
		}
		out = append(out, in)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(out) == 0:
		return nil, badRequest("missing batch input to process")
	}
	for _, in := range out {
		if (len(in.context.text) == 0) != (len(out[0].context.text) == 0) {
			return nil, badRequest("context should be set either in all the request blocks or in none")
		}
	}
	return out, nil
}

// decode returns what texts in base64 say, in the call's buffer: what was there
// before is no longer.
func (c *call) decode(texts ...value) (out [4][]byte, err error) {
	need := 0
	for _, t := range texts {
		need += base64.StdEncoding.DecodedLen(len(t.text)) + 4
	}
	b := c.take()
	if cap(*b) < need {
		clear((*b)[:cap(*b)])
		*b = make([]byte, 0, need)
	}
	at := (*b)[:0]
	for i, t := range texts {
		from := len(at)
		if at, err = t.appendBase64(at, "input"); err != nil {
			return out, err
		}
		out[i] = at[from:len(at):len(at)]
	}
	return out, nil
}

// message is what an item has a key encrypt.
func (c *call) message(in *item) (named.Message, error) {
	got, err := c.decode(in.plaintext, in.context, in.aad, in.nonce)
	return named.Message{Plaintext: got[0], Context: got[1], AAD: got[2], Nonce: got[3], Version: in.version}, err
}

// sealedText is what an item has a key decrypt.
func (c *call) sealedText(in *item) (named.Ciphertext, error) {
	text, err := in.ciphertext.string("ciphertext")
	if err == nil && text == "" {
		err = badRequest("missing ciphertext to decrypt")
	}
	if err != nil {
		return named.Ciphertext{}, err
	}
	got, err := c.decode(in.context, in.aad, in.nonce)
	return named.Ciphertext{Text: text, Context: got[0], AAD: got[1], Nonce: got[2], Version: in.version}, err
}

// batch answers for all items: their results, or in their place what went wrong
// with them. F appends an item's result, without braces. Bad is what stands
// beside an error.
func (c *call) batch(items []item, bad string, f func(b []byte, in *item) ([]byte, error)) error {
	b := append(c.out, `{"batch_results":[`...)
	succeeded, refused, failed := false, false, false
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		from := len(b)
		out, err := f(b, &items[i])
		if err == nil {
			succeeded, b = true, out
		} else {
			r := told(err)
			if r == errSealed {
				return r
			}
			refused, failed = refused || r.code < 500, failed || r.code >= 500
			b = append(append(b[:from], bad...), `"error":`...)
			b = appendText(b, r.words)
		}
		b = append(b, `,"reference":`...)
		reference, err := items[i].reference.unescape()
		if err != nil {
			return err
		}
		b = append(appendText(b, string(reference)), '}')
	}
	c.out = append(b, "]}"...)
	switch {
	case refused:
		c.code = http.StatusBadRequest
	case failed:
		c.code = http.StatusInternalServerError
	}
	return c.partial(succeeded)
}

// partial takes the code that a client wants for a batch of which a part failed.
func (c *call) partial(succeeded bool) error {
	wish := c.field("partial_failure_response_code")
	code, err := wish.int("partial_failure_response_code")
	if err != nil || wish.kind == 0 || c.code == 0 || !succeeded {
		return err
	}
	if code < 200 || code > 599 || code == http.StatusNoContent || code == http.StatusNotModified {
		c.notes = append(c.notes, "invalid HTTP response code override from partial_failure_response_code, reverting to "+strconv.Itoa(c.code))
		return nil
	}
	c.code = code
	return nil
}
