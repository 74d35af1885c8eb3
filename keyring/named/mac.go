package named

import (
	"crypto"
	"crypto/hmac"
	"encoding/base64"

	"github.com/sealwright/sealwright/internal/aead"
)

// MAC returns the HMAC of the input's Data by its Hash, under the MAC key that
// each version has; of an HMAC key that is the key. Contexts do not matter.
//
// The errors are [keyring.ErrSealed], [ErrVersion], [ErrPolicy], [ErrInput],
// [ErrLimit] and [ErrNotApproved].
func (k *Key) MAC(in Input) (string, error) {
	if err := k.state.enter(); err != nil {
		return "", k.fail("hmac", err)
	}
	defer k.state.leave()
	text, err := k.mac(&in)
	return text, wrap("hmac", k.state.doc.Name, err)
}

func (k *Key) mac(in *Input) (string, error) {
	h, err := in.macHash()
	if err != nil {
		return "", err
	}
	v, err := k.state.active(in.Version)
	if err != nil {
		return "", err
	}
	sum, err := v.macOf(k.state.doc, h, in.Data)
	if err != nil {
		return "", err
	}
	return v.prefix + base64.StdEncoding.EncodeToString(sum), nil
}

// VerifyMAC reports, in constant time, whether a MAC is that of the input: false,
// and no error, if it is not. The errors are those of [Key.MAC].
func (k *Key) VerifyMAC(in Input, mac string) (bool, error) {
	if err := k.state.enter(); err != nil {
		return false, k.fail("verify hmac", err)
	}
	defer k.state.leave()
	ok, err := k.verifyMAC(&in, mac)
	return ok, wrap("verify hmac", k.state.doc.Name, err)
}

func (k *Key) verifyMAC(in *Input, mac string) (bool, error) {
	h, err := in.macHash()
	if err != nil {
		return false, err
	}
	n, given, err := decodeText("hmac", mac, base64.StdEncoding)
	if err != nil {
		return false, err
	}
	v, err := k.state.passive(n)
	if err != nil {
		return false, err
	}
	sum, err := v.macOf(k.state.doc, h, in.Data)
	if err != nil {
		return false, err
	}
	return hmac.Equal(sum, given), nil
}

func (in *Input) macHash() (crypto.Hash, error) {
	if len(in.Data) > MaxMessage {
		return 0, because(ErrLimit, "more than %d bytes", MaxMessage)
	}
	return hashOf(in.Hash)
}

func (v *version) macOf(d *document, h crypto.Hash, data []byte) ([]byte, error) {
	key := v.macKey(d.Type)
	if len(key) == 0 {
		return nil, because(ErrVersion, "version %d has no MAC key: rotate the key", v.n)
	}
	return macOf(h, key, data), nil
}

// macOf returns an HMAC, and clears what crypto/hmac keeps of the key.
func macOf(h crypto.Hash, key, data []byte) []byte {
	mac := hmac.New(h.New, key)
	defer aead.WipeField(mac, "opad")
	defer aead.WipeField(mac, "ipad")
	mac.Write(data)
	return mac.Sum(nil)
}

func (v *versionDoc) macKey(t Type) []byte {
	if t == HMAC {
		return v.Key
	}
	return v.MAC
}
