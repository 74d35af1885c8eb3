#!/bin/sh
# ProtonMail/go-crypto openpgp/v2: a key's features, and not the caller's
# configuration, choose the message's format and its cipher.
#
# A packet.Config without AEADConfig asks for the encryption that every OpenPGP tool
# reads, and DefaultCipher for AES-256. Where the recipient's key, of version 4, says
# in its features that it reads SEIPDv2, as keys that Sequoia makes today do, Encrypt
# takes neither: it writes SEIPDv2, and with AES-128, since the key lists no AEAD
# cipher suites. Such a message cannot be opened with GnuPG 2.4, to which the owner
# may have moved the key.
#
# Seen with github.com/ProtonMail/go-crypto v1.5.2; needs Go. It prints, and this
# fails on anything else:
#
#   a key without the feature: SEIPD version 1, session key of 32 bytes
#   a key with the feature: SEIPD version 2, session key of 16 bytes
set -eu
want='a key without the feature: SEIPD version 1, session key of 32 bytes
a key with the feature: SEIPD version 2, session key of 16 bytes'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS
export GOWORK=off
cat >main.go <<'GO'
package main

import (
	"bytes"
	"fmt"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/v2"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func show(name string, feature bool) {
	e, err := v2.NewEntity("Ada", "", "ada@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, DefaultCipher: packet.CipherAES256})
	must(err)
	for _, i := range e.Identities {
		self := i.SelfCertifications[0].Packet
		self.SEIPDv2 = feature // as a key of Sequoia has it; no preferred cipher suites
		self.PreferredCipherSuites = nil
		must(self.SignUserId(i.UserId.Id, e.PrimaryKey, e.PrivateKey, nil))
	}
	var public bytes.Buffer
	must(e.Serialize(&public))
	list, err := v2.ReadKeyRing(&public)
	must(err)
	var message bytes.Buffer
	w, err := v2.Encrypt(&message, list, nil, nil, nil, &packet.Config{DefaultCipher: packet.CipherAES256})
	must(err)
	must(w.Close())
	sent := message.Bytes()
	version := 0
	for r := packet.NewReader(bytes.NewReader(sent)); version == 0; {
		p, err := r.Next()
		must(err)
		if s, ok := p.(*packet.SymmetricallyEncrypted); ok {
			version = s.Version
		}
	}
	m, err := v2.ReadMessage(bytes.NewReader(sent), v2.EntityList{e}, nil, &packet.Config{CacheSessionKey: true})
	must(err)
	fmt.Printf("%s: SEIPD version %d, session key of %d bytes\n", name, version, len(m.SessionKey))
}

func main() {
	show("a key without the feature", false)
	show("a key with the feature", true)
}
GO
go mod init finding >log 2>&1 && go get github.com/ProtonMail/go-crypto/openpgp@v1.5.2 >>log 2>&1 || {
	cat log
	exit 1
}
got=$(go run .)
printf '%s\n' "$got"
[ "$got" = "$want" ]
