#!/bin/sh
# versitygw: in a bucket with versions, If-Match is met by an object that was deleted.
#
# A put with If-Match takes place where the object's present version has that ETag. S3
# answers 404 where the present version is a delete marker, as a GET does. versitygw
# compares with the newest version behind the marker: the GET is 404, and the put with
# the ETag from before the delete is 200, while any other ETag is 412. Who swaps by ETag
# brings back what another one has deleted, and is not told. Without versions the
# bucket answers 404.
#
# Seen with github.com/versity/versitygw v1.8.0 and its posix backend, on a file system
# with extended attributes; needs Go and curl 7.82 or later. It prints, and this fails on
# anything else:
#
#   plain: put 200, delete 204, get 404, put If-Match 404
#   versions: put 200, delete 204, get 404, put If-Match another 412, put If-Match 200, get 200
set -eu
want='plain: put 200, delete 204, get 404, put If-Match 404
versions: put 200, delete 204, get 404, put If-Match another 412, put If-Match 200, get 200'
dir=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS
export GOWORK=off GOBIN="$dir/bin"
mkdir data versions
go install github.com/versity/versitygw/cmd/versitygw@v1.8.0 >log 2>&1 || {
	cat log
	exit 1
}
export ROOT_ACCESS_KEY=access ROOT_SECRET_KEY=notasecret
port=$((20000 + $$ % 20000))
timeout 120 "$GOBIN/versitygw" --port "127.0.0.1:$port" posix --versioning-dir "$dir/versions" "$dir/data" >log 2>&1 &
server=$!
s3() { # s3 <method> <path> [curl's arguments…]: the status, the answer's headers in the file headers
	method=$1 path=$2
	shift 2
	curl -sS --max-time 10 --aws-sigv4 aws:amz:us-east-1:s3 --user access:notasecret -o body -D headers -w '%{http_code}' \
		-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -X "$method" "$@" "http://127.0.0.1:$port/$path"
}
tries=0
until s3 PUT plain >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 50 ] || { cat log; exit 1; }
	sleep 0.2
done
s3 PUT versions >/dev/null
s3 PUT 'versions?versioning=' --data '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>' >/dev/null
etag() { sed -n 's/^[Ee][Tt]ag: *\("[^"]*"\).*/\1/p' headers; }
got="plain: put $(s3 PUT plain/key --data one)"
old=$(etag)
got="$got, delete $(s3 DELETE plain/key), get $(s3 GET plain/key), put If-Match $(s3 PUT plain/key --data two -H "If-Match: $old")"
got="$got
versions: put $(s3 PUT versions/key --data one)"
old=$(etag)
got="$got, delete $(s3 DELETE versions/key), get $(s3 GET versions/key)"
got="$got, put If-Match another $(s3 PUT versions/key --data two -H 'If-Match: "0123456789abcdef0123456789abcdef"')"
got="$got, put If-Match $(s3 PUT versions/key --data two -H "If-Match: $old"), get $(s3 GET versions/key)"
printf '%s\n' "$got"
[ "$got" = "$want" ]
