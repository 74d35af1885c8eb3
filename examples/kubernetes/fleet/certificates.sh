#!/bin/sh
# Makes certificates for the replicas NAME-0, NAME-1, … by a CA of theirs alone:
#
#   sh certificates.sh DIRECTORY NAME REPLICAS
#
# What is in DIRECTORY/pods goes to the pods. DIRECTORY/ca.key signs whoever may have
# the root key: keep it where no pod and no CI reads it. Run it again within a year,
# for certificates that replace these ones under the same CA.
set -eu
dir=$1 name=$2 replicas=$3
umask 077
mkdir -p "$dir/pods"
cd "$dir"
curve='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
if [ ! -e ca.key ]; then
	openssl req -x509 $curve -keyout ca.key -out pods/ca.crt -days 3650 -subj "/CN=replicas of $name" 2>/dev/null
fi
i=0
while [ "$i" -lt "$replicas" ]; do
	replica=$name-$i
	# Each certificate is in the replica's own name, which says who asks; and as the
	# others ask by address, in the name of the server too.
	printf 'subjectAltName = DNS:%s, DNS:%s\nextendedKeyUsage = serverAuth, clientAuth\n' "$replica" "$name" >extensions
	openssl req -new $curve -keyout "pods/$replica.key" -out request -subj "/CN=$replica" 2>/dev/null
	openssl x509 -req -in request -CA pods/ca.crt -CAkey ca.key -CAcreateserial -CAserial serial \
		-days 365 -extfile extensions -out "pods/$replica.crt" 2>/dev/null
	i=$((i + 1))
done
rm -f request extensions
