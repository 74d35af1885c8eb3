#!/bin/sh
# Makes certificates for the replicas NAME-0, NAME-1, … by a CA of theirs alone:
#
#   sh certificates.sh DIRECTORY NAME REPLICAS
#
# What is in DIRECTORY/pods goes to the pods. DIRECTORY/ca.key signs whoever may have
# the root key: keep it where no pod and no CI reads it. Run it again within a year, or
# with more REPLICAS, for certificates under the same CA.
set -eu
fail() {
	echo "certificates.sh: $*" >&2
	exit 1
}
[ $# -eq 3 ] || fail "three arguments, please: DIRECTORY NAME REPLICAS, as fleet-ca notes 3"
dir=$1 name=$2 replicas=$3
[ "$replicas" -gt 0 ] 2>/dev/null || fail "REPLICAS is \"$replicas\", and is a number from 1"
command -v openssl >/dev/null || fail "no openssl in the PATH"
umask 077
mkdir -p "$dir/pods"
cd "$dir"
# quietly runs openssl, and shows what it says where it fails.
quietly() { said=$(openssl "$@" 2>&1) || fail "openssl $1: $said"; }
curve='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
# Another CA would part the replicas that run from those that start: never make one by
# mistake.
if [ -e pods/ca.crt ] && [ ! -e ca.key ]; then
	fail "$dir/pods/ca.crt is there, and its $dir/ca.key is not: bring the key from the safe; for a CA of a new server, take another DIRECTORY"
elif [ -e ca.key ] && [ ! -e pods/ca.crt ]; then
	fail "$dir/ca.key is there, and its $dir/pods/ca.crt is not: bring it, too; the Secret of the replicas has it"
elif [ ! -e ca.key ]; then
	quietly req -x509 $curve -keyout key -out certificate -days 3650 -subj "/CN=replicas of $name"
	mv key ca.key
	mv certificate pods/ca.crt
fi
i=0
while [ "$i" -lt "$replicas" ]; do
	replica=$name-$i
	# Each certificate is in the replica's own name, which says who asks; and as the
	# others ask by address, in the name of the server too.
	printf 'subjectAltName = DNS:%s, DNS:%s\nextendedKeyUsage = serverAuth, clientAuth\n' "$replica" "$name" >extensions
	quietly req -new $curve -keyout key -out request -subj "/CN=$replica"
	quietly x509 -req -in request -CA pods/ca.crt -CAkey ca.key -CAcreateserial -CAserial serial \
		-days 365 -extfile extensions -out certificate
	mv key "pods/$replica.key"
	mv certificate "pods/$replica.crt"
	i=$((i + 1))
done
rm -f request extensions
