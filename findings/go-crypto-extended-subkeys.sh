#!/bin/sh
# ProtonMail/go-crypto openpgp/v2: of two encryption subkeys that were extended
# together, it encrypts to the older one.
#
# An owner who adds a new encryption subkey and later extends all of them at once
# (gpg --quick-set-expire FINGERPRINT 2y '*') has two subkeys whose newest binding
# signatures are of the same second. Entity.EncryptionKey compares those signatures
# and not the keys' own creation times, and keeps the first of equals: the oldest
# subkey. gpg takes the newest, and its owner may long have put the older secret
# away. Before the extension go-crypto takes the newer one too.
#
# Seen with github.com/ProtonMail/go-crypto v1.5.2; needs Go. It prints, and this
# fails on anything else:
#
#   as made: newer
#   extended together: older
set -eu
want='as made: newer
extended together: older'
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
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/v2"
)

var config = &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA}

func at(day int) *packet.Config {
	c := *config
	c.Time = func() time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }
	return &c
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// chosen tells which subkey a reader of the public key encrypts to.
func chosen(e *v2.Entity) string {
	var b bytes.Buffer
	must(e.Serialize(&b))
	list, err := v2.ReadKeyRing(&b)
	must(err)
	key, ok := list[0].EncryptionKey(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), config)
	if !ok {
		panic("no key")
	}
	if key.PublicKey.CreationTime.Day() == 2 {
		return "newer"
	}
	return "older"
}

func main() {
	e, err := v2.NewEntity("Ada", "", "ada@example.com", at(1))
	must(err)
	must(e.AddEncryptionSubkey(at(2)))
	fmt.Println("as made:", chosen(e))
	for i := range e.Subkeys {
		s := &e.Subkeys[i]
		binding := *s.Bindings[0].Packet
		binding.CreationTime = at(20).Now()
		must(binding.SignKey(s.PublicKey, e.PrivateKey, at(20)))
		s.Bindings = append(s.Bindings, packet.NewVerifiableSig(&binding))
	}
	fmt.Println("extended together:", chosen(e))
}
GO
go mod init finding >log 2>&1 && go get github.com/ProtonMail/go-crypto/openpgp@v1.5.2 >>log 2>&1 || {
	cat log
	exit 1
}
got=$(go run .)
printf '%s\n' "$got"
[ "$got" = "$want" ]
