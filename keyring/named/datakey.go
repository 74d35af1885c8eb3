package named

// Rewrap decrypts a ciphertext and encrypts it under c.Version, zero for the
// latest, in the same context and with the same associated data. The plaintext
// does not leave. The errors are those of [Key.Decrypt].
func (k *Key) Rewrap(c Ciphertext) (string, error) {
	if err := k.state.enter(); err != nil {
		return "", k.fail("rewrap", err)
	}
	defer k.state.leave()
	plaintext, err := k.decrypt(&c)
	if err != nil {
		return "", k.fail("rewrap", err)
	}
	defer clear(plaintext)
	text, err := k.encrypt(nil, &Message{plaintext, c.AAD, c.Context, c.Nonce, c.Version}, asText)
	if err != nil {
		return "", k.fail("rewrap", err)
	}
	return string(text), nil
}

// DataKey returns a random key of 128, 256 or 512 bits, zero for 256, and its
// ciphertext: encrypt what is large with the one, keep the other beside it. The
// message says how, and has no plaintext. The caller owns the key, and wipes it.
// The errors are those of [Key.AppendEncrypt].
func (k *Key) DataKey(bits int, m Message) (key []byte, text string, err error) {
	switch {
	case len(m.Plaintext) > 0:
		return nil, "", k.fail("data key", because(ErrInput, "a plaintext is given: the key is drawn"))
	case bits == 0:
		bits = 256
	case bits != 128 && bits != 256 && bits != 512:
		return nil, "", k.fail("data key", because(ErrInput, "%d bits, want 128, 256 or 512", bits))
	}
	if err := k.state.enter(); err != nil {
		return nil, "", k.fail("data key", err)
	}
	defer k.state.leave()
	m.Plaintext = random(bits / 8)
	sealed, err := k.encrypt(nil, &m, asText)
	if err != nil {
		clear(m.Plaintext)
		return nil, "", k.fail("data key", err)
	}
	return m.Plaintext, string(sealed), nil
}
