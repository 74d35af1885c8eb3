package named

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"time"
)

// A key as Vault's and OpenBao's transit engines write it down, in storage and in
// backups. The names are theirs.
type (
	vaultBackup struct {
		Policy  *vaultPolicy  `json:"policy"`
		Archive *vaultArchive `json:"archived_keys"`
	}
	vaultArchive struct {
		Keys []vaultKey `json:"keys"`
	}
	vaultPolicy struct {
		Name              string              `json:"name"`
		KeySize           int                 `json:"key_size,omitempty"`
		Keys              map[string]vaultKey `json:"keys"`
		Derived           bool                `json:"derived"`
		KDF               int                 `json:"kdf"`
		Convergent        bool                `json:"convergent_encryption"`
		Exportable        bool                `json:"exportable"`
		MinDecryption     int                 `json:"min_decryption_version"`
		MinEncryption     int                 `json:"min_encryption_version"`
		Latest            int                 `json:"latest_version"`
		ArchiveVersion    int                 `json:"archive_version"`
		ArchiveMin        int                 `json:"archive_min_version"`
		MinAvailable      int                 `json:"min_available_version"`
		Deletable         bool                `json:"deletion_allowed"`
		ConvergentVersion int                 `json:"convergent_version"`
		Type              int                 `json:"type"`
		Backup            *Stamp              `json:"backup_info"`
		Restore           *Stamp              `json:"restore_info"`
		Backupable        bool                `json:"allow_plaintext_backup"`
		VersionTemplate   string              `json:"version_template"`
		StoragePrefix     string              `json:"storage_prefix"`
		AutoRotate        time.Duration       `json:"auto_rotate_period"`
		Imported          bool                `json:"Imported"`
		Rotatable         bool                `json:"AllowImportedKeyRotation"`
		SoftDeleted       bool                `json:"soft_deleted"`
	}
	vaultKey struct {
		Key          []byte       `json:"key"`
		MAC          []byte       `json:"hmac_key"`
		Time         time.Time    `json:"time"`
		X            *number      `json:"ec_x"`
		Y            *number      `json:"ec_y"`
		D            *number      `json:"ec_d"`
		RSA          *vaultRSA    `json:"rsa_key"`
		RSAPublic    *vaultPublic `json:"rsa_public_key"`
		Public       string       `json:"public_key"`
		Convergent   int          `json:"convergent_version"`
		CreationTime int64        `json:"creation_time"`
		Chain        [][]byte     `json:"certificate_chain"`
	}
	vaultPublic struct {
		N *number
		E int
	}
	vaultRSA struct {
		vaultPublic
		D           *number
		Primes      []*number
		Precomputed *vaultCRT `json:",omitempty"`
	}
	vaultCRT struct {
		Dp, Dq, Qinv *number
		CRTValues    []struct{}
	}
)

// A number is one in JSON of as many digits as a key needs.
type number struct{ big.Int }

func (n *number) UnmarshalJSON(text []byte) error {
	if len(text) > 2<<10 {
		return because(ErrLimit, "a number of %d digits", len(text))
	}
	return n.Int.UnmarshalJSON(text)
}

func numberOf(i *big.Int) *number { return &number{*new(big.Int).Set(i)} }

// vaultTypes are the types by their numbers in OpenBao. In Vault 10 is a key that
// is kept elsewhere, and 11 an HMAC key.
var vaultTypes = [...]Type{AES256, ECDSAP256, Ed25519, RSA2048, RSA4096, ChaCha20Poly1305, ECDSAP384, ECDSAP521, AES128, RSA3072, HMAC, XChaCha20Poly1305}

func (t Type) vault() int {
	for i, u := range vaultTypes {
		if t == u {
			return i
		}
	}
	return -1
}

func (p *vaultPolicy) keyType() (Type, error) {
	switch {
	case p.Type < 0 || p.Type >= len(vaultTypes):
		return "", because(ErrType, "number %d: none of a key that this package has", p.Type)
	case p.Type >= HMAC.vault() && p.KeySize > 0:
		return HMAC, nil // whichever of the two wrote it
	case p.Type == HMAC.vault():
		return "", because(ErrType, "a key that Vault keeps elsewhere")
	}
	return vaultTypes[p.Type], nil
}

func (v *versionDoc) toVault(t Type) (vaultKey, error) {
	key := vaultKey{MAC: v.macKey(t), Time: v.Created, CreationTime: v.Created.Unix(), Convergent: v.Convergent}
	switch {
	case t.symmetric() || t == HMAC:
		key.Key = v.Key
		return key, nil
	case t == Ed25519:
		key.Key, key.Public = v.Key, formatPublic(t, v.Public)
		return key, nil
	}
	key.Public = formatPublic(t, v.Public)
	p, err := parsePair(t, v)
	if err != nil {
		return key, err
	}
	switch public := p.public.(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			return key, because(ErrFormat, "the stored public key does not encode")
		}
		half := len(point) / 2
		key.X, key.Y = &number{*new(big.Int).SetBytes(point[1 : 1+half])}, &number{*new(big.Int).SetBytes(point[1+half:])}
		if private, ok := p.private.(*ecdsa.PrivateKey); ok {
			d, err := private.Bytes()
			if err != nil {
				return key, because(ErrFormat, "the stored private key does not encode")
			}
			key.D = &number{*new(big.Int).SetBytes(d)}
			clear(d)
		}
	case *rsa.PublicKey:
		key.RSAPublic = &vaultPublic{numberOf(public.N), public.E}
		if private, ok := p.private.(*rsa.PrivateKey); ok {
			key.RSA, key.RSAPublic = rsaToVault(private), nil
		}
	}
	return key, nil
}

func rsaToVault(key *rsa.PrivateKey) *vaultRSA {
	out := &vaultRSA{vaultPublic: vaultPublic{numberOf(key.N), key.E}, D: numberOf(key.D)}
	for _, prime := range key.Primes {
		out.Primes = append(out.Primes, numberOf(prime))
	}
	c := key.Precomputed
	if c.Dp != nil && c.Dq != nil && c.Qinv != nil {
		out.Precomputed = &vaultCRT{numberOf(c.Dp), numberOf(c.Dq), numberOf(c.Qinv), []struct{}{}}
	}
	return out
}

// document returns a version as it is stored here. It reads keys whole, so that
// nothing comes in that is none.
func (key *vaultKey) document(d *document, convergent int) (versionDoc, error) {
	v := versionDoc{MAC: bytes.Clone(key.MAC), Created: key.Time.UTC()}
	if d.Convergent {
		if v.Convergent = key.Convergent; v.Convergent == 0 {
			v.Convergent = max(convergent, 0)
			if convergent == 0 {
				v.Convergent = 1 // of before there were others
			}
		}
	}
	switch t := d.Type; {
	case t.symmetric():
		v.Key = bytes.Clone(key.Key)
		return v, nil
	case t == HMAC:
		v.Key, v.MAC = bytes.Clone(key.Key), nil
		return v, nil
	case t == Ed25519:
		return v, key.ed25519(&v)
	case t.curve() != nil:
		return v, key.ecdsa(t, &v)
	default:
		return v, key.rsa(t, &v)
	}
}

func (key *vaultKey) ed25519(v *versionDoc) error {
	if len(key.Key) == 0 {
		public, err := base64.StdEncoding.DecodeString(key.Public)
		if err != nil || len(public) != ed25519.PublicKeySize {
			return because(ErrInput, "the public key is none")
		}
		v.Public = public
		return nil
	}
	if len(key.Key) != ed25519.PrivateKeySize {
		return because(ErrInput, "the key has %d bytes", len(key.Key))
	}
	private := ed25519.NewKeyFromSeed(key.Key[:ed25519.SeedSize])
	if !bytes.Equal(private, key.Key) {
		return because(ErrCorrupt, "the halves of the key do not belong together")
	}
	return v.setPrivate(Ed25519, private)
}

func (key *vaultKey) ecdsa(t Type, v *versionDoc) error {
	size := (t.curve().Params().BitSize + 7) / 8
	fits := func(n *number) bool { return n != nil && n.Sign() >= 0 && n.BitLen() <= 8*size }
	if !fits(key.X) || !fits(key.Y) {
		return because(ErrInput, "the public key is none")
	}
	point := append(append([]byte{4}, key.X.FillBytes(make([]byte, size))...), key.Y.FillBytes(make([]byte, size))...)
	public, err := ecdsa.ParseUncompressedPublicKey(t.curve(), point)
	if err != nil {
		return because(ErrInput, "the public key is none")
	}
	if key.D == nil {
		v.Public, err = encodePublic(public)
		return err
	}
	if !fits(key.D) {
		return because(ErrInput, "the private key is none")
	}
	raw := key.D.FillBytes(make([]byte, size))
	defer clear(raw)
	private, err := ecdsa.ParseRawPrivateKey(t.curve(), raw)
	if err != nil {
		return because(ErrInput, "the private key is none")
	}
	if !private.PublicKey.Equal(public) {
		return because(ErrCorrupt, "the halves of the key do not belong together")
	}
	return v.setPrivate(t, private)
}

func (key *vaultKey) rsa(t Type, v *versionDoc) error {
	if key.RSA == nil {
		public, err := key.rsaPublic()
		if err != nil {
			return err
		}
		if err := checkPublic(t, public); err != nil {
			return err
		}
		v.Public, err = encodePublic(public)
		return err
	}
	in := key.RSA
	if in.N == nil || in.D == nil || len(in.Primes) != 2 || in.Primes[0] == nil || in.Primes[1] == nil {
		return because(ErrInput, "the private key is none")
	}
	private := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: &in.N.Int, E: in.E}, D: &in.D.Int,
		Primes: []*big.Int{&in.Primes[0].Int, &in.Primes[1].Int},
	}
	if err := checkPublic(t, &private.PublicKey); err != nil {
		return err
	}
	private.Precompute()
	if err := private.Validate(); err != nil {
		return because(ErrInput, "the private key is none")
	}
	return v.setPrivate(t, private)
}

func (key *vaultKey) rsaPublic() (crypto.PublicKey, error) {
	if p := key.RSAPublic; p != nil && p.N != nil {
		return &rsa.PublicKey{N: &p.N.Int, E: p.E}, nil
	}
	if block, _ := pem.Decode([]byte(key.Public)); block != nil {
		if public, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			return public, nil
		}
	}
	return nil, because(ErrInput, "the public key is none")
}
