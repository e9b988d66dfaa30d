#!/usr/bin/env bash
# Runs one fault test, or a part of one: test/faults/run.sh TestACrashAtEveryWrite@2/3. `make test-faults` builds bin/faults.test.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
test=${1%@*} part=1/1
[[ $1 == *@* ]] && part=${1#*@}
started=$SECONDS outcome=PASS
output=$(../../bin/faults.test -test.timeout 30m -test.run "^$test\$" -faults.part "$part" 2>&1) || outcome=FAIL
if [[ $outcome == FAIL || $output == *'no tests to run'* ]]; then
	outcome=FAIL
	printf '%s\n' "$output"
fi
printf '%s  %-45s %4d s\n' "$outcome" "$1" $((SECONDS - started))
[[ $outcome == PASS ]]
