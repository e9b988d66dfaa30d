#!/usr/bin/env bash
# Checks the tests themselves: puts each of these mistakes back into a copy of the tree, and shows that a test goes red. The copy is
# the only thing that changes. Usage: test/faults/mutations.sh [part of a title]
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
only=${1:-}
survivors=0

# mutate <title> <file> <perl program> <package> <test>
mutate() {
	local title=$1 file=$2 program=$3 package=$4 test=$5 output
	[[ $title == *"$only"* ]] || return 0
	cp "$root/$file" "$copy/$file"
	if ! (cd "$copy" && go test -count=1 -run "$test" "$package" >"$copy/output" 2>&1); then
		echo "FAIL  $title: $test is red without the mutation:"; tail -20 "$copy/output"; survivors=$((survivors + 1)); return 0
	fi
	if grep -q 'no tests to run' "$copy/output"; then
		echo "FAIL  $title: there is no test $test"; survivors=$((survivors + 1)); return 0
	fi
	perl -0pi -e "$program" "$copy/$file"
	if cmp -s "$root/$file" "$copy/$file"; then
		echo "FAIL  $title: the patch does not fit $file any more"; survivors=$((survivors + 1)); return 0
	fi
	if (cd "$copy" && go test -count=1 -run "$test" "$package" >"$copy/output" 2>&1); then
		echo "FAIL  $title: $test stays green"; survivors=$((survivors + 1))
	elif grep -q '\[build failed\]' "$copy/output"; then
		echo "FAIL  $title: the mutation does not compile:"; grep -v '^#' "$copy/output" | head -5; survivors=$((survivors + 1))
	else
		output=$(grep -m1 -oE -- '--- FAIL: [^ ]+' "$copy/output" || true)
		echo "red   $title: ${output#--- FAIL: } in $package"
	fi
	cp "$root/$file" "$copy/$file"
}

for part in api cmd config controllers internal test go.mod go.sum; do cp -r "$root/$part" "$copy/$part"; done
ln -s "$root/bin" "$copy/bin"

mutate "server-side apply instead of PUT" internal/apply/apply.go \
	's/e\.Writer\.Update\(ctx, object\)/e.Writer.Patch(ctx, object, client.Apply, client.ForceOwnership, client.FieldOwner("netbaseline"))/' \
	./internal/apply '^TestTheUpdateGoesUnderWhatWasReadAndLeavesManagedFieldsAlone$'
mutate "default-deny before DNS" internal/policy/policy.go \
	's/\{v1alpha1\.AllowDNSName, (v1alpha1\.EnvironmentIsolationName), v1alpha1\.DefaultDenyName\}/{v1alpha1.DefaultDenyName, $1, v1alpha1.AllowDNSName}/' \
	./internal/plan '^TestFromNothingDNSStandsBeforeAnythingIsolates$'
mutate "delete-and-create on hand-over" internal/plan/plan.go \
	's/(differs\(desired\[i\], observed\):\n)[^\n]*\n/$1\t\t\twrites = append(writes, Step{Operation: Delete, Namespace: namespace, Name: name, UID: observed.UID, ResourceVersion: observed.ResourceVersion}, Step{Operation: Create, Namespace: namespace, Name: name, Desired: desired[i]})\n/' \
	./internal/plan '^TestConverge$'
mutate "treating absence as release" internal/governance/decide.go \
	's/(case candidate == nil:\n\t\treturn )[^\n]*/$1"", ""/' \
	./internal/governance '^TestWhenPoliciesAreHeld$'
mutate "deleting by label alone" internal/plan/plan.go \
	's/for _, name := range policy\.Names \{\n\t\tif observed, exists := inventory\[name\]; exists && slices\.Contains\(owners, observed\.Owner\)/for name, observed := range inventory {\n\t\tif slices.Contains(owners, observed.Owner)/' \
	./internal/plan '^TestRemoveTouchesOnlyWhatTheNamedBaselinesMade$'
mutate "ignoring UID on delete" internal/apply/apply.go \
	's/, client\.Preconditions\{UID: &step\.UID[^}]*\}//g' \
	./internal/apply '^TestDeletingNamesTheObjectAndItsState$'
mutate "trusting the cache for release" internal/governance/decide.go \
	's/case !evidence\.Live:/case false \&\& !evidence.Live:/' \
	./internal/governance '^TestWhenPoliciesAreRemoved$'
mutate "opening on an outdated view" internal/apply/apply.go \
	's/!e\.Confirmed && opens\(/false && opens(/' \
	./internal/apply '^TestNothingIsTakenAwayUnconfirmed$'
mutate "a status write on every reconcile" controllers/baseline_status.go \
	's/if equality\.Semantic\.DeepEqual\(/if false \&\& equality.Semantic.DeepEqual(/' \
	./controllers '^TestAStatusIsWrittenOnceAndAtMostOnceASecond$'
mutate "a fan-out at normal priority" controllers/namespace_watches.go \
	's/Priority: new\(handler\.LowPriority\)/Priority: new(0)/' \
	./controllers '^TestAChangedBaselineSendsEveryNamespaceBehindTheNewOnes$'
# The witness by itself: everything above through the whole system would need none of those tests.
mutate "the witness forgets what was isolated" test/witness/judge.go \
	's/d\.isolated = true/d.isolated = false/' \
	./test/witness '^TestTheWitness$'

exit $((survivors > 0))
