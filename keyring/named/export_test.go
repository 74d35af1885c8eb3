package named

// EncodeText encodes data as ciphertexts are.
func EncodeText(dst []byte, prefix string, data []byte) []byte {
	out, body, sealed := textRoom(dst, prefix, len(data))
	copy(sealed, data)
	encode(body, len(data))
	return out
}
