package keyring

// An AEAD is a keyring in the shape of Tink's AEAD interface, for libraries
// that ask for one. The output is always allocated.
type AEAD struct {
	k *Keyring
}

// AEAD returns the keyring in the shape of Tink's AEAD interface.
func (k *Keyring) AEAD() AEAD { return AEAD{k} }

// Encrypt is [Keyring.Encrypt].
func (a AEAD) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return a.k.Encrypt(nil, plaintext, associatedData)
}

// Decrypt is [Keyring.Decrypt].
func (a AEAD) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return a.k.Decrypt(nil, ciphertext, associatedData)
}
