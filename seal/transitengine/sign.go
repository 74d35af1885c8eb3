package transitengine

import (
	"errors"
	"strings"

	"github.com/sealwright/sealwright/keyring/named"
)

// how reads how something is signed. Vault has three names for the hash, of
// which the one in the path counts first.
func (c *call) how() (in named.Input, err error) {
	texts := []struct {
		into *string
		name string
	}{
		{&in.Hash, "hash_algorithm"}, {&in.Scheme, "signature_algorithm"}, {&in.Marshaling, "marshaling_algorithm"}, {&in.SaltLength, "salt_length"},
	}
	for _, t := range texts {
		if *t.into, err = c.field(t.name).string(t.name); err != nil {
			return in, err
		}
	}
	older, err := c.field("algorithm").string("algorithm")
	if err != nil {
		return in, err
	}
	if in.Hash == "" {
		in.Hash = older
	}
	if c.rest != "" {
		in.Hash = c.rest
	}
	if in.Prehashed, err = c.field("prehashed").bool("prehashed"); err != nil {
		return in, err
	}
	in.SaltLength = strings.ToLower(in.SaltLength)
	in.Version, err = c.field("key_version").int("key_version")
	return in, err
}

// inputs are what is signed or verified: a batch, or the request itself.
func (c *call) inputs() (items []item, isBatch bool, err error) {
	if batch := c.field("batch_input"); batch.kind != 0 {
		items, err = c.items(batch, "", "")
		return items, true, err
	}
	return []item{{
		input: c.field("input"), context: c.field("context"), signature: c.field("signature"), hmac: c.field("hmac"),
	}}, false, nil
}

// data completes what is signed by one item's input and context.
func (c *call) signed(in *item, how named.Input) (named.Input, error) {
	got, err := c.decode(in.input)
	if err != nil {
		return how, badRequest("unable to decode input as base64: %s", told(err).words)
	}
	how.Data = append([]byte(nil), got[0]...)
	if got, err = c.decode(in.context); err != nil {
		return how, badRequest("failed to base64-decode context")
	}
	how.Context = got[0]
	return how, nil
}

// each answers for the items, one by one where they came so. A batch is answered
// with 200, as Vault does: each item says how it went.
func (c *call) each(items []item, isBatch bool, bad string, f func(b []byte, in *item) ([]byte, error)) error {
	if !isBatch {
		return c.one(func(b []byte) ([]byte, error) { return f(b, &items[0]) })
	}
	err := c.batch(items, bad, f)
	c.code = 0
	return err
}

func sign(c *call) error {
	how, err := c.how()
	if err != nil {
		return err
	}
	items, isBatch, err := c.inputs()
	if err != nil {
		return err
	}
	k, err := c.key("signing key not found")
	if err != nil {
		return err
	}
	if kind := k.Info().Type; !kind.Signs() {
		return badRequest("key type %s does not support signing", kind)
	}
	return c.each(items, isBatch, "", func(b []byte, in *item) ([]byte, error) {
		if isBatch && in.input.kind == 0 {
			return nil, badRequest("missing input")
		}
		what, err := c.signed(in, how)
		if err != nil {
			return nil, err
		}
		s, err := k.Sign(what)
		if err != nil {
			return nil, plainWords(err, k, "sign")
		}
		b = append(b, `"signature":"`...)
		from := len(b)
		b = appendVersion(append(append(b, s.Text...), '"'), from)
		if s.PublicKey != "" {
			name := `,"public_key":`
			if isBatch { // as Vault has it
				name = `,"publickey":`
			}
			b = appendText(append(b, name...), s.PublicKey)
		}
		return b, nil
	})
}

func mac(c *call) error {
	how, err := c.how()
	if err != nil {
		return err
	}
	items, isBatch, err := c.inputs()
	if err != nil {
		return err
	}
	k, err := c.key(noKey)
	if err != nil {
		return err
	}
	return c.each(items, isBatch, "", func(b []byte, in *item) ([]byte, error) {
		if in.input.kind == 0 {
			return nil, badRequest("missing input for HMAC")
		}
		what, err := c.signed(in, how)
		if err != nil {
			return nil, err
		}
		what.Context = nil
		text, err := k.MAC(what)
		if err != nil {
			return nil, plainWords(err, k, "hmac")
		}
		return appendText(append(b, `"hmac":`...), text), nil
	})
}

// verify verifies signatures, or MACs: all of a request are one or the other.
func verify(c *call) error {
	how, err := c.how()
	if err != nil {
		return err
	}
	items, isBatch, err := c.inputs()
	if err != nil {
		return err
	}
	macs, err := kindOf(items, isBatch)
	if err != nil {
		return err
	}
	absent := "signature verification key not found"
	if macs {
		absent = noKey
	}
	var texts []string
	for i := range items {
		texts = append(texts, string(items[i].signature.text)+string(items[i].hmac.text))
	}
	k, err := c.key(absent, texts...)
	if err != nil {
		return err
	}
	if kind := k.Info().Type; !macs && !kind.Signs() {
		return badRequest("key type %s does not support verification", kind)
	}
	return c.each(items, isBatch, `"valid":false,`, func(b []byte, in *item) ([]byte, error) {
		ok, err := c.verifyOne(k, in, how, macs)
		if err != nil {
			return nil, err
		}
		if ok {
			return append(b, `"valid":true`...), nil
		}
		return append(b, `"valid":false`...), nil
	})
}

func (c *call) verifyOne(k *named.Key, in *item, how named.Input, macs bool) (bool, error) {
	what, err := c.signed(in, how)
	if err != nil {
		return false, err
	}
	if macs {
		text, err := in.hmac.string("hmac")
		if err != nil {
			return false, err
		}
		what.Context = nil
		ok, err := k.VerifyMAC(what, text)
		if err != nil {
			err = signatureWords(err, k, "HMAC to verify", text)
		}
		return ok, err
	}
	text, err := in.signature.string("signature")
	if err != nil {
		return false, err
	}
	ok, err := k.Verify(what, text)
	if errors.Is(err, named.ErrDigest) {
		return false, nil // as Vault says: what is no hash was not signed
	}
	if err != nil {
		err = signatureWords(err, k, "signature", text)
	}
	return ok, err
}

// kindOf tells whether MACs are to be verified, or signatures.
func kindOf(items []item, isBatch bool) (macs bool, err error) {
	signatures, hmacs, neither := 0, 0, 0
	for i := range items {
		switch in := &items[i]; {
		case in.signature.kind != 0 && in.hmac.kind != 0 && !isBatch:
			return false, badRequest("provide one of 'signature' or 'hmac'")
		case in.signature.kind != 0:
			signatures++
		case in.hmac.kind != 0:
			hmacs++
		default:
			neither++
		}
	}
	switch {
	case !isBatch && neither > 0:
		return false, badRequest("neither a 'signature' nor an 'hmac' were given to verify")
	case signatures > 0 && hmacs > 0:
		return false, badRequest("elements of batch_input must all provide 'signature' or all provide 'hmac'")
	case neither > 0 && signatures > 0:
		return false, badRequest("some elements of batch_input are missing 'signature'")
	case neither > 0 && hmacs > 0:
		return false, badRequest("some elements of batch_input are missing 'hmac'")
	case neither > 0:
		return false, badRequest("no batch_input elements have 'signature' or 'hmac'")
	}
	return hmacs > 0, nil
}
