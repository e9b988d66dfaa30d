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
	's/e\.Writer\.Update\(ctx, object\)/e.Writer.Patch(ctx, object, client.Apply, client.ForceOwnership, client.FieldOwner("netbaseline"))/g' \
	./internal/apply '^TestTheUpdateGoesUnderWhatWasReadAndLeavesManagedFieldsAlone$'
mutate "default-deny before DNS" internal/policy/policy.go \
	's/\{v1alpha1\.AllowDNSName, (v1alpha1\.EnvironmentIsolationName), v1alpha1\.DefaultDenyName\}/{v1alpha1.DefaultDenyName, $1, v1alpha1.AllowDNSName}/' \
	./internal/plan '^TestFromNothingDNSStandsBeforeAnythingIsolates$'
mutate "delete-and-create on hand-over" internal/plan/plan.go \
	's/(case differs\(desired, found\):\n\t\treturn )Update/$1Create/' \
	./internal/plan '^TestConverge$'
mutate "treating absence as release" internal/governance/standing.go \
	's/return answer\{claim: (claim\{\s*v1alpha1\.ReasonBaselineAbsent)/return answer{standing: yields, claim: $1/' \
	./internal/governance '^TestWhenPoliciesAreHeld$'
mutate "deleting by label alone" internal/plan/plan.go \
	's/for _, name := range policy\.Names \{\n\t\tfound, exists := inventory\[name\]\n\t\tif exists && found\.MadeFor/for name, found := range inventory {\n\t\tif found.MadeFor/' \
	./internal/plan '^TestRemoveTouchesOnlyWhatTheNamedBaselinesMade$'
mutate "ignoring UID on delete" internal/apply/apply.go \
	's/, client\.Preconditions\{UID: &found\.UID[^}]*\}//g' \
	./internal/apply '^TestDeletingNamesTheObjectAndItsState$'
mutate "trusting the cache for release" internal/governance/decide.go \
	's/case !evidence\.Live:/case false \&\& !evidence.Live:/' \
	./internal/governance '^TestWhenPoliciesAreRemoved$'
mutate "opening on an outdated view" internal/apply/apply.go \
	's/\(!e\.Confirmed \|\| step\.OnlyToClose\) && step\.Loosens\(found\)/false \&\& step.Loosens(found)/' \
	./internal/apply '^TestNothingIsTakenAwayUnconfirmed$'
mutate "a stripped label that counts as harmless" internal/apply/apply.go \
	's/Harmless: harmless && found\.Owner == [^\n]*,\n/Harmless: harmless,\n/' \
	./internal/apply '^TestWhetherWhatWasReplacedWasHarmless$'
mutate "a hand-over without the word of the owner" internal/governance/decide.go \
	's/case len\(claims\.kept\) > 0:\n(\t\treturn hold\(claims\.kept, governor)/case false:\n$1/' \
	./internal/governance '^TestWhoMayTakeOverFromWhom$'
mutate "a hand-over by what a cache says of the owner" internal/governance/decide.go \
	's/case len\(claims\.yielding\) > 0 && !evidence\.Live:/case false:/' \
	./internal/governance '^TestWhoMayTakeOverFromWhom$'
mutate "a baseline that loses what it owns with its finalizer" internal/governance/standing.go \
	's/(FinalizerInPlace\(\)) && !slices\.Contains\(subject\.Owners, name\)/$1 \&\& !slices.Contains([]string(nil), name)/' \
	./internal/governance '^TestWhoMayTakeOverFromWhom$'
mutate "closing that opens the other direction, in the plan" internal/plan/plan.go \
	's/!step\.loosens\(\) && \(/step.Operation != Delete \&\& (/' \
	./internal/plan '^TestClosingTakesNothingAwayAndOpensNothing$'
mutate "closing that opens the other direction, in the write" internal/apply/apply.go \
	's/\(!e\.Confirmed \|\| step\.OnlyToClose\) && step\.Loosens/!e.Confirmed \&\& step.Loosens/' \
	./internal/apply '^TestWhatIsOnlyToBeClosed$'
mutate "a baseline in Audit that protects what it names for DNS" internal/governance/candidate.go \
	's/!candidate\.Accepted\(\) \|\| candidate\.Baseline\.Spec\.Mode != v1alpha1\.ModeEnforce \{/!candidate.Accepted() {/' \
	./internal/governance '^TestProtectedNamespacesAreNeverGoverned$'
mutate "a refusal that ends the plan" internal/apply/apply.go \
	's/return step\.Operation == plan\.Delete \|\| step\.Needs/return step.Operation != "" || step.Needs/' \
	./internal/apply '^TestARefusalKeepsBackOnlyWhatNeedsItAndRemovals$'
mutate "isolation that does not wait for DNS" internal/plan/plan.go \
	's/step\.Needs = needs/step.Needs = ""/' \
	./internal/plan '^TestWhatWaitsForTheDNSPolicy$'
mutate "a terminating policy that counts as protection" internal/plan/plan.go \
	's/(case found\.Terminating:\n\t\treturn )Recreate/$1""/' \
	./internal/plan '^TestConverge$'
mutate "a network plugin that loses its finalizer" internal/apply/apply.go \
	's/return !policy\.IsPluginFinalizer\(finalizer\)/return true/' \
	./internal/apply '^TestAPolicyThatIsBeingDeletedIsMadeAgain$'
mutate "a release by a label that passes for one by an edit" internal/governance/decide.go \
	's/if answer\.unselected \{/if false \&\& answer.unselected {/' \
	./internal/governance '^TestWhoMayTakeOverFromWhom$'
mutate "orphans that outlive their baseline, by decision" internal/governance/decide.go \
	's/if !subject\.Orphaned \{/if subject.Name != "" {/' \
	./internal/governance '^TestWhenPoliciesAreRemoved$'
mutate "orphans that outlive their baseline, by plan" internal/plan/plan.go \
	's/ \|\| o\.Owner == "" \&\& o\.Ours//' \
	./internal/plan '^TestRemoveTouchesOnlyWhatTheNamedBaselinesMade$'
mutate "a repair that reads before it closes" internal/apply/apply.go \
	's/if step\.Blind \{/if false \&\& step.Blind {/' \
	./internal/apply '^TestABlindUpdateReadsNothing$'
mutate "a round that ends by what was not looked at" internal/ledger/ledger.go \
	's/if round < l\.round \{/if round > l.round {/' \
	./internal/ledger '^TestARoundIsCompleteWhenEveryNamespaceWasSeen$'
mutate "a status write on every reconcile" controllers/baseline_status.go \
	's/if equality\.Semantic\.DeepEqual\(/if false \&\& equality.Semantic.DeepEqual(/' \
	./controllers '^TestAStatusIsWrittenOnceAndAtMostOnceASecond$'
mutate "a fan-out at normal priority" controllers/namespace_watches.go \
	's/Priority: new\(handler\.LowPriority\)/Priority: new(0)/' \
	./controllers '^TestAChangedBaselineSendsEveryNamespaceBehindTheNewOnes$'
mutate "releasing at the blink of a label" controllers/namespace_releases.go \
	's/if !byLabel \{/if byLabel || !byLabel {/' \
	./controllers '^TestALabelThatBlinksOpensNothing$'
mutate "an own write starts a reconcile" controllers/namespace_watches.go \
	's/!echo \&\& e\.ObjectOld/(echo || !echo) \&\& e.ObjectOld/' \
	./controllers '^TestAnOwnWriteStartsNoReconcile$'
mutate "a filtered watch without bookmarks" controllers/informer.go \
	's/event\.Type == watch\.Bookmark \|\| //' \
	./controllers '^TestOfAWatchOnlyOurNamesBookmarksAndErrorsPass$'
mutate "a stripped label taken for a harmless rival" controllers/contention.go \
	's/\|\| !futility\.about\(step\) \|\| !sameState\(step\.Found, futility\.found\)/|| !futility.about(step)/' \
	./controllers '^TestOnlyWhatIsKnownToBeFutileIsLeft$'
mutate "a hanging namespace keeps its place" controllers/lanes.go \
	's/l\.vacate\(p\.lane\)\n\tp\.lane = hangingLaneKind\n\tl\.in\[hangingLaneKind\]\+\+/_ = l.giveWay/' \
	./controllers '^TestWhatHangsMakesRoomForTheHealthy$'
mutate "owners by a label that tenants write" controllers/namespace_controller.go \
	's/remembered \&\& len\(owners\) > 0/false \&\& remembered \&\& len(owners) > 0/' \
	./controllers '^TestWhoseANamespaceIsTheLedgerSays$'
mutate "whose a held namespace is, by a label that tenants write" controllers/namespace_controller.go \
	's/ \|\| s\.previous\.State == ledger\.Held \&\& len\(s\.inventory\) > 0//' \
	./controllers '^TestWhoseANamespaceIsTheLedgerSays$'
mutate "a repair that waits for DNS" controllers/namespace_outcomes.go \
	's/step\.Needs = ""/_ = step/' \
	./controllers '^TestARepairDoesNotWaitForDNS$'
mutate "a refused write that is tried twice" internal/apply/apply.go \
	's/if !passed\(err\) \{/if err == nil {/' \
	./internal/apply '^TestABlindUpdateThatIsRefusedIsNotTriedAgain$'
mutate "a remote question at every change" controllers/inquiry.go \
	's/if wait := i\.next\.Sub\(now\); wait > 0 \{/if wait := i.next.Sub(now); wait > time.Hour {/' \
	./controllers '^TestAQuestionIsAskedAtMostOnceASecond$'
# The witness by itself: everything above through the whole system would need none of those tests.
mutate "the witness forgets what was isolated" test/faults/witness/judge.go \
	's/d\.isolated = true/d.isolated = false/' \
	./test/faults/witness '^TestTheWitness$'

exit $((survivors > 0))
