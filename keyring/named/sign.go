package named

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strconv"
)

// An Input is what is signed or verified, or what a MAC is made of. The zero value
// of everything but Data is what Vault does when nothing is said.
type Input struct {
	Data    []byte // at most MaxMessage bytes
	Context []byte // of a derived key, required there
	Version int    // of the key, to sign or make a MAC with; zero is the latest

	// Hash is the hash algorithm, as in [Hash]. Ed25519 has its own and takes no
	// notice. "none" signs what is Prehashed by PKCS #1 v1.5 without saying how.
	Hash string

	// Prehashed says that Data is hashed already. Not for MACs.
	Prehashed bool

	Scheme     string // of RSA: "pss", the default, or "pkcs1v15"
	Marshaling string // "asn1", the default, in standard base64; or "jws", in raw base64url and of ECDSA as r ‖ s
	SaltLength string // of PSS: "auto", the default, "hash", or a number of bytes
}

// A Signature is what [Key.Sign] returns.
type Signature struct {
	Text      string // begins as ciphertexts do
	PublicKey string // of a derived key, which has another in each context; else empty
}

// A method is how an Input is signed.
type method struct {
	hash     crypto.Hash
	prepared []byte // hashed, if the type wants that
	pkcs1    bool
	jws      bool
	salt     int
}

// Sign signs.
//
// The errors are [keyring.ErrSealed], [ErrType], [ErrVersion], [ErrPolicy],
// [ErrInput], [ErrLimit] and [ErrNotApproved].
func (k *Key) Sign(in Input) (Signature, error) {
	if err := k.state.enter(); err != nil {
		return Signature{}, k.fail("sign", err)
	}
	defer k.state.leave()
	s, err := k.sign(&in)
	return s, wrap("sign", k.state.doc.Name, err)
}

func (k *Key) sign(in *Input) (Signature, error) {
	d := k.state.doc
	m, err := d.method(in)
	if err != nil {
		return Signature{}, err
	}
	v, err := k.state.active(in.Version)
	if err != nil {
		return Signature{}, err
	}
	p, err := d.pairIn(v, in.Context)
	if err != nil {
		return Signature{}, err
	}
	if p.private == nil {
		return Signature{}, because(ErrPolicy, "version %d has no private half here: it only verifies", v.n)
	}
	raw, err := d.signWith(p.private, m)
	if err != nil {
		return Signature{}, err
	}
	s := Signature{Text: v.prefix + m.encoding().EncodeToString(raw)}
	if d.Derived {
		s.PublicKey = formatPublic(d.Type, p.public.(ed25519.PublicKey))
	}
	return s, nil
}

func (d *document) signWith(private crypto.Signer, m *method) ([]byte, error) {
	var opts crypto.SignerOpts = m.hash
	switch key := private.(type) {
	case ed25519.PrivateKey:
		opts = crypto.Hash(0)
	case *ecdsa.PrivateKey:
		raw, err := ecdsa.SignASN1(rand.Reader, key, m.prepared)
		if err == nil && m.jws {
			raw, err = toJWS(raw, (key.Curve.Params().BitSize+7)/8)
		}
		return raw, err
	case *rsa.PrivateKey:
		if !m.pkcs1 {
			opts = &rsa.PSSOptions{SaltLength: m.salt, Hash: m.hash}
		}
	}
	raw, err := private.Sign(rand.Reader, m.prepared, opts)
	if err != nil {
		return nil, because(ErrInput, "%s keys do not sign this with these options", d.Type)
	}
	return raw, nil
}

// Verify reports whether a signature is one of the input: false, and no error, if
// it is not.
//
// The errors are those of [Key.Sign], of which [ErrVersion] may also mean that the
// Key is older than the signature: hand it to [Keys.Key].
func (k *Key) Verify(in Input, signature string) (bool, error) {
	if err := k.state.enter(); err != nil {
		return false, k.fail("verify", err)
	}
	defer k.state.leave()
	ok, err := k.verify(&in, signature)
	return ok, wrap("verify", k.state.doc.Name, err)
}

func (k *Key) verify(in *Input, signature string) (bool, error) {
	d := k.state.doc
	m, err := d.method(in)
	if err != nil {
		return false, err
	}
	n, raw, err := decodeText("signature", signature, m.encoding())
	if err != nil {
		return false, err
	}
	v, err := k.state.passive(n)
	if err != nil {
		return false, err
	}
	p, err := d.pairIn(v, in.Context)
	if err != nil {
		return false, err
	}
	switch key := p.public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, m.prepared, raw), nil
	case *ecdsa.PublicKey:
		if m.jws {
			size := (key.Curve.Params().BitSize + 7) / 8
			if len(raw) != 2*size {
				return false, nil
			}
			if raw, err = fromJWS(raw, size); err != nil {
				return false, err
			}
		} else if err := checkASN1(raw); err != nil {
			return false, err
		}
		return ecdsa.VerifyASN1(key, m.prepared, raw), nil
	case *rsa.PublicKey:
		if m.pkcs1 {
			return rsa.VerifyPKCS1v15(key, m.hash, m.prepared, raw) == nil, nil
		}
		return rsa.VerifyPSS(key, m.hash, m.prepared, raw, &rsa.PSSOptions{SaltLength: m.salt}) == nil, nil
	}
	return false, ErrFormat
}

// PublicKey returns the public key of a version, zero for the latest, as
// [VersionInfo] has it; of a derived key that of the context.
func (k *Key) PublicKey(version int, context []byte) (string, error) {
	if err := k.state.enter(); err != nil {
		return "", k.fail("public key", err)
	}
	defer k.state.leave()
	text, err := k.publicKey(version, context)
	return text, wrap("public key", k.state.doc.Name, err)
}

func (k *Key) publicKey(version int, context []byte) (string, error) {
	d := k.state.doc
	if !d.Type.public() {
		return "", because(ErrType, "%s keys have no public half", d.Type)
	}
	if version == 0 {
		version = d.latest()
	}
	v := k.state.version(version)
	if v == nil {
		return "", because(ErrVersion, "version %d: the key has %d to %d", version, d.first(), d.latest())
	}
	p, err := d.pairIn(v, context)
	if err != nil {
		return "", err
	}
	public, err := encodePublic(p.public)
	if err != nil {
		return "", err
	}
	return formatPublic(d.Type, public), nil
}

// pairIn returns the key pair of a version, or of a derived key that of a context.
func (d *document) pairIn(v *version, context []byte) (*pair, error) {
	if err := d.checkContext(context, nil); err != nil {
		return nil, err
	}
	if !d.Derived {
		return v.keys(d.Type)
	}
	private, err := d.derivePair(v, context)
	if err != nil {
		return nil, err
	}
	return &pair{private, private.Public()}, nil
}

// method checks the options of an input, and hashes it if need be.
func (d *document) method(in *Input) (*method, error) {
	t := d.Type
	if !t.Signs() {
		return nil, because(ErrType, "%s keys do not sign", t)
	}
	if len(in.Data) > MaxMessage {
		return nil, because(ErrLimit, "more than %d bytes: hash it first, and say prehashed", MaxMessage)
	}
	m := &method{prepared: in.Data}
	switch in.Marshaling {
	case "", "asn1":
	case "jws":
		m.jws = true
	default:
		return nil, because(ErrInput, "unknown marshaling: want asn1 or jws")
	}
	switch in.Scheme {
	case "", "pss":
	case "pkcs1v15":
		m.pkcs1 = true
	default:
		return nil, because(ErrInput, "unknown signature algorithm: want pss or pkcs1v15")
	}
	if !t.hashes() {
		return m, nil
	}
	if in.Hash == noHash {
		if t.rsaBits() == 0 || !m.pkcs1 || !in.Prehashed {
			return nil, because(ErrInput, "the hash algorithm none needs an RSA key, pkcs1v15 and prehashed input")
		}
		if inFIPS() {
			return nil, because(ErrNotApproved, "signatures that do not name their hash")
		}
		return m, nil
	}
	h, err := hashOf(in.Hash)
	if err != nil {
		return nil, err
	}
	m.hash = h
	switch {
	case !in.Prehashed:
		m.prepared = sum(h, in.Data)
	case t.rsaBits() > 0 && len(in.Data) != h.Size():
		return nil, because(ErrDigest, "prehashed input of %d bytes, and the hash algorithm has %d", len(in.Data), h.Size())
	case len(in.Data) == 0:
		return nil, because(ErrInput, "prehashed input is empty")
	}
	return m, m.setSalt(in.SaltLength, t)
}

// setSalt reads the salt length of PSS.
func (m *method) setSalt(text string, t Type) error {
	switch text {
	case "", "auto":
		m.salt = rsa.PSSSaltLengthAuto
		return nil
	case "hash":
		m.salt = rsa.PSSSaltLengthEqualsHash
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return because(ErrInput, "unknown salt length: want auto, hash, or a number of bytes")
	}
	if bits := t.rsaBits(); bits > 0 && int(n) > (bits+6)/8-2-m.hash.Size() {
		return because(ErrInput, "a salt of %d bytes does not fit a key of type %s", n, t)
	}
	m.salt = int(n) // 0 is auto, as in Vault
	return nil
}

func (m *method) encoding() *base64.Encoding {
	if m.jws {
		return base64.RawURLEncoding
	}
	return base64.StdEncoding
}

type ecdsaSignature struct{ R, S *big.Int }

// toJWS returns r ‖ s, each of the size.
func toJWS(der []byte, size int) ([]byte, error) {
	var sig ecdsaSignature
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, err
	}
	out := make([]byte, 2*size)
	sig.R.FillBytes(out[:size])
	sig.S.FillBytes(out[size:])
	return out, nil
}

func fromJWS(raw []byte, size int) ([]byte, error) {
	return asn1.Marshal(ecdsaSignature{new(big.Int).SetBytes(raw[:size]), new(big.Int).SetBytes(raw[size:])})
}

// checkASN1 tells what is no signature from one that is not valid.
func checkASN1(raw []byte) error {
	var sig ecdsaSignature
	if rest, err := asn1.Unmarshal(raw, &sig); err != nil || len(rest) > 0 {
		return because(ErrInput, "the signature is not in ASN.1")
	}
	return nil
}
