#!/bin/sh
# GnuPG 2.2: setting a key's expiry anew signs it with SHA-1 again.
#
# A key whose signatures by itself are with SHA-1 is refused by many tools of today,
# and "set its expiry anew with a gpg of today" is the usual advice, since that
# signs it again. gpg 2.2.40 signs a new key with SHA-256, but --quick-set-expire
# takes the hash of the signature that it replaces, without a word: the key stays
# refused, and its owner believes to have followed the advice. --cert-digest-algo is
# what makes it a new hash.
#
# Seen with gpg and gpg-agent 2.2.40-1.1+deb12u2; needs Debian 12's apt-get, whose
# packages it unpacks in a temporary folder. It prints, and this fails on anything
# else (8 is SHA-256, 2 SHA-1):
#
#   a new key: 8
#   an old key: 2
#   its expiry set anew: 2
#   and with --cert-digest-algo SHA256: 8
set -eu
want='a new key: 8
an old key: 2
its expiry set anew: 2
and with --cert-digest-algo SHA256: 8'
version=2.2.40-1.1+deb12u2
dir=$(mktemp -d)
trap '"$dir/root/usr/bin/gpgconf" --homedir "$dir/home" --kill gpg-agent >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
cd "$dir"
(apt-get download gpg=$version gpg-agent=$version gpgconf=$version libassuan0 libgcrypt20 libgpg-error0 libksba8 libnpth0 \
	libreadline8 libsqlite3-0 libbz2-1.0 && for p in *.deb; do dpkg-deb -x "$p" root; done) >log 2>&1 || {
	cat log
	exit 1
}
mkdir -m 700 home
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
export LD_LIBRARY_PATH="$dir/root/usr/lib/$triplet:$dir/root/lib/$triplet" LC_ALL=C
gpg() {
	"$dir/root/usr/bin/gpg" --homedir "$dir/home" --agent-program "$dir/root/usr/bin/gpg-agent" --batch --quiet \
		--pinentry-mode loopback --passphrase '' "$@" 2>>log
}
hash() { # of a key's newest signature by itself
	printf '%s: ' "$1"
	gpg --export "$2" | gpg --list-packets | sed -n 's/^.*digest algo \([0-9]*\),.*/\1/p' | head -n 1
}
got=$(
	gpg --quick-gen-key new ed25519 cert never && hash 'a new key' new
	gpg --faked-system-time '20250101T000000!' --cert-digest-algo SHA1 --quick-gen-key old ed25519 cert 9y && hash 'an old key' old
	key=$(gpg --with-colons --list-keys =old | sed -n 's/^fpr:*\([0-9A-F]*\):.*/\1/p')
	gpg --faked-system-time '20260101T000000!' --quick-set-expire "$key" 8y && hash 'its expiry set anew' old
	gpg --faked-system-time '20260201T000000!' --cert-digest-algo SHA256 --quick-set-expire "$key" 7y &&
		hash 'and with --cert-digest-algo SHA256' old
) || cat log
printf '%s\n' "$got"
[ "$got" = "$want" ]
