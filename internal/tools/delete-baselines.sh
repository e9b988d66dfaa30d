#!/usr/bin/env bash
# Deletes every ClusterNetworkBaseline and waits until the operator has cleaned up behind them, so that no finalizer keeps
# a baseline or the CustomResourceDefinition from going. `make undeploy` and `make uninstall` run it before they go on.
#
# When nothing has moved for TIMEOUT seconds:
#   - and the deployed operator is ready, it stops: the operator is still trying, and is needed;
#   - and it is not, nothing will be cleaned up: the finalizer is taken off, and the NetworkPolicies stay where they are.
set -euo pipefail

KUBECTL=${KUBECTL:-kubectl}
TIMEOUT=${TIMEOUT:-60}

baselines=clusternetworkbaselines.policy.netbaseline.dev
finalizer=policy.netbaseline.dev/cleanup

# Names and resource versions: while one of them changes, an operator is at work.
remaining() {
	$KUBECTL get "$baselines" -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.metadata.resourceVersion}{"\n"}{end}'
}

operator_is_ready() {
	local ready
	ready=$($KUBECTL --namespace netbaseline-system get deployment netbaseline-controller-manager \
		--ignore-not-found --output jsonpath='{.status.readyReplicas}')
	[[ ${ready:-0} -gt 0 ]]
}

wait_while_it_moves() {
	local before="" now deadline=$((SECONDS + TIMEOUT))
	# In a condition, a failure ends nothing by itself; and an answer that did not come is not the answer that nothing remains.
	while now=$(remaining) || exit 1; [[ -n $now ]]; do
		if [[ $now != "$before" ]]; then
			before=$now
			deadline=$((SECONDS + TIMEOUT))
			$KUBECTL get "$baselines" --no-headers
		elif ((SECONDS >= deadline)); then
			return 1
		fi
		sleep 1
	done
}

take_finalizer_off() {
	local name=$1 index=0 found
	while read -r found; do
		if [[ $found == "$finalizer" ]]; then
			$KUBECTL patch "$baselines" "$name" --type=json --patch "[
				{\"op\": \"test\", \"path\": \"/metadata/finalizers/$index\", \"value\": \"$finalizer\"},
				{\"op\": \"remove\", \"path\": \"/metadata/finalizers/$index\"}]"
			return
		fi
		index=$((index + 1))
	done < <($KUBECTL get "$baselines" "$name" -o jsonpath='{range .metadata.finalizers[*]}{@}{"\n"}{end}')
}

crd=$($KUBECTL get customresourcedefinition "$baselines" --ignore-not-found --output name)
there=${crd:+$(remaining)}
if [[ -z $there ]]; then
	echo "There is no baseline to delete."
	exit 0
fi

echo "Deleting all baselines and waiting for the operator to clean up behind them:"
$KUBECTL delete "$baselines" --all --wait=false
if wait_while_it_moves; then
	echo "All baselines are gone."
	exit 0
fi

if operator_is_ready; then
	cat >&2 <<-EOF
		Stopped: the baselines above are still there, and nothing has moved for $TIMEOUT seconds. The operator is running and
		keeps trying, so it stays. What holds it up: $KUBECTL describe $baselines
		Remove the cause and run this again.
	EOF
	exit 1
fi

echo "Nothing has moved for $TIMEOUT seconds and no operator is ready in netbaseline-system: the finalizer is taken off."
remaining | while read -r name _; do
	take_finalizer_off "$name"
done
left=$(remaining)
if [[ -n $left ]]; then
	echo "Stopped: these baselines are held by a finalizer of another client:" >&2
	$KUBECTL get "$baselines" -o custom-columns=NAME:.metadata.name,FINALIZERS:.metadata.finalizers >&2
	exit 1
fi
cat <<EOF
All baselines are gone. Their NetworkPolicies stay and go on protecting:
  $KUBECTL get networkpolicies --all-namespaces --selector policy.netbaseline.dev/baseline
Remove them, if you want that, with:
  $KUBECTL delete networkpolicies --all-namespaces --selector policy.netbaseline.dev/baseline
EOF
