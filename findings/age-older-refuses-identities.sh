#!/bin/sh
# age 1.2: one post-quantum line in an identity file, and none of the others is used.
#
# An identity file may hold several identities, and "age -d" tries each. A holder who
# adds the post-quantum identity of age 1.3 to the file that has opened their files
# for years can open none of them with an older age, as Debian 13 has it: it refuses
# the file for the line that it does not know, in words that name no line's kind,
# and does not try the identity above it.
#
# Seen with filippo.io/age v1.2.1 and v1.3.2; needs Go. It prints, and this fails on
# anything else:
#
#   1.3.2, both lines: opened
#   1.2.1, the old line alone: opened
#   1.2.1, both lines: age: error: reading "both.txt": failed to read "both.txt": error at line 2: unknown identity type
set -eu
want='1.3.2, both lines: opened
1.2.1, the old line alone: opened
1.2.1, both lines: age: error: reading "both.txt": failed to read "both.txt": error at line 2: unknown identity type'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS
export GOWORK=off
for v in 1.2.1 1.3.2; do
	GOBIN="$dir/$v" go install filippo.io/age/cmd/age@v$v filippo.io/age/cmd/age-keygen@v$v >log 2>&1 || {
		cat log
		exit 1
	}
done
1.2.1/age-keygen 2>/dev/null | grep -v '^#' >old.txt
(
	cat old.txt
	1.3.2/age-keygen -pq 2>/dev/null | grep -v '^#'
) >both.txt
printf opened | 1.2.1/age -r "$(1.2.1/age-keygen -y old.txt)" >file.age
open() { printf '%s: ' "$1, $2" && ("$1/age" -d -i "$3" file.age 2>&1 || true) | grep -v '^age: report' | head -n 1 && echo; }
got=$(
	{
		open 1.3.2 'both lines' both.txt
		open 1.2.1 'the old line alone' old.txt
		open 1.2.1 'both lines' both.txt
	} | grep .
)
printf '%s\n' "$got"
[ "$got" = "$want" ]
