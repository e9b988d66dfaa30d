package privilege_test

import (
	"context"
	"net/http"
	"slices"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/integration/privilege"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// check is something that the operator does.
type check struct {
	// before arranges what the manager finds when it starts.
	before func(*scene)
	// provoke gives the operator a reason to do it. It is called again when the operator could not.
	provoke func(*scene)
	// done reports whether it did.
	done func(*scene) bool
}

const (
	networkingGroup = "networking.k8s.io"
	ourGroup        = "policy.netbaseline.dev"

	metricsOf  = "lets those read metrics who may"
	takesLease = "takes the lease that another one has given up"
)

// needs says, of every permission, what the operator cannot do without it.
var needs = map[privilege.Permission]string{
	{Verb: "get", Resource: "namespaces"}:   "takes its policies from a namespace that no baseline selects any more",
	{Verb: "list", Resource: "namespaces"}:  "protects a new namespace",
	{Verb: "watch", Resource: "namespaces"}: "follows the label of a namespace",

	{Verb: "create", Resource: "networkpolicies", Group: networkingGroup}: "restores a policy that was deleted",
	{Verb: "get", Resource: "networkpolicies", Group: networkingGroup}:    "restores a policy that was edited",
	{Verb: "update", Resource: "networkpolicies", Group: networkingGroup}: "restores a policy that was edited",
	{Verb: "watch", Resource: "networkpolicies", Group: networkingGroup}:  "restores a policy that was edited",
	{Verb: "list", Resource: "networkpolicies", Group: networkingGroup}:   "lets a deleted baseline go when its policies are gone",
	{Verb: "delete", Resource: "networkpolicies", Group: networkingGroup}: "lets a deleted baseline go when its policies are gone",

	{Verb: "get", Resource: "customresourcedefinitions", Group: "apiextensions.k8s.io"}: "takes its policies from a namespace that no baseline selects any more",

	{Verb: "list", Resource: "clusternetworkbaselines", Group: ourGroup}:          "protects a new namespace",
	{Verb: "watch", Resource: "clusternetworkbaselines", Group: ourGroup}:         "writes the status of a baseline",
	{Verb: "patch", Resource: "clusternetworkbaselines", Group: ourGroup}:         "puts its finalizer on a new baseline",
	{Verb: "update", Resource: "clusternetworkbaselines/status", Group: ourGroup}: "writes the status of a baseline",

	{Verb: "create", Resource: "events", Group: "events.k8s.io"}: "tells of a repair in an event",
	{Verb: "patch", Resource: "events", Group: "events.k8s.io"}:  "counts a repair that happens again in the same event",

	{Verb: "get", Resource: "leases", Group: "coordination.k8s.io"}:    takesLease,
	{Verb: "update", Resource: "leases", Group: "coordination.k8s.io"}: takesLease,
	{Verb: "create", Resource: "leases", Group: "coordination.k8s.io"}: "takes the lease where there is none yet",
	{Verb: "create", Resource: "events"}:                               "tells in an event that it leads",

	{Verb: "create", Resource: "tokenreviews", Group: "authentication.k8s.io"}:        metricsOf,
	{Verb: "create", Resource: "subjectaccessreviews", Group: "authorization.k8s.io"}: metricsOf,
}

var checks = map[string]check{
	"protects a new namespace": {
		provoke: func(s *scene) {
			s.g.Expect(client.IgnoreAlreadyExists(env.Admin.Create(s.ctx, s.namespace(s.id+"-new")))).To(Succeed())
		},
		done: func(s *scene) bool { return len(s.policies(s.id+"-new")) == 3 },
	},
	"follows the label of a namespace": {
		provoke: func(s *scene) {
			s.provoked++
			s.patch(s.namespace(s.id), `{"metadata":{"labels":{"environment":"`+s.environment()+`"}}}`)
		},
		done: func(s *scene) bool {
			return slices.ContainsFunc(s.policies(s.id), func(policy networkingv1.NetworkPolicy) bool {
				return policy.Name == v1alpha1.EnvironmentIsolationName && slices.ContainsFunc(policy.Spec.Ingress[0].From, func(peer networkingv1.NetworkPolicyPeer) bool {
					return peer.NamespaceSelector != nil && peer.NamespaceSelector.MatchLabels["environment"] == s.environment()
				})
			})
		},
	},
	"restores a policy that was edited":  {provoke: (*scene).open, done: (*scene).closed},
	"restores a policy that was deleted": {provoke: (*scene).deletePolicy, done: (*scene).closed},
	"takes its policies from a namespace that no baseline selects any more": {
		provoke: func(s *scene) { s.patch(s.namespace(s.id), `{"metadata":{"labels":{"scene":null}}}`) },
		done:    func(s *scene) bool { return len(s.policies(s.id)) == 0 },
	},
	"lets a deleted baseline go when its policies are gone": {
		provoke: func(s *scene) {
			s.g.Expect(client.IgnoreNotFound(env.Admin.Delete(s.ctx, builder.Baseline(s.id).Obj()))).To(Succeed())
		},
		done: func(s *scene) bool { return s.baseline(s.id) == nil && len(s.policies(s.id)) == 0 },
	},
	"puts its finalizer on a new baseline": {
		provoke: func(s *scene) {
			s.g.Expect(client.IgnoreAlreadyExists(env.Admin.Create(s.ctx, builder.Baseline(s.id+"-new").Selecting("scene", s.id+"-new").Obj()))).To(Succeed())
		},
		done: func(s *scene) bool {
			return controllerutil.ContainsFinalizer(s.baseline(s.id+"-new"), v1alpha1.CleanupFinalizer)
		},
	},
	"writes the status of a baseline": {
		provoke: func(s *scene) {
			s.provoked++
			s.patch(builder.Baseline(s.id).Obj(), `{"spec":{"environmentIsolation":{"labelKey":"`+s.environment()+`"}}}`)
		},
		done: func(s *scene) bool {
			baseline := s.baseline(s.id)
			return baseline.Status.ObservedGeneration == baseline.Generation
		},
	},
	"tells of a repair in an event": {
		provoke: func(s *scene) { s.openTimes(2) },
		done:    func(s *scene) bool { return len(s.repairs()) > 0 },
	},
	"counts a repair that happens again in the same event": {
		provoke: func(s *scene) { s.openTimes(3) },
		done: func(s *scene) bool {
			return slices.ContainsFunc(s.repairs(), func(event eventsv1.Event) bool { return event.Series != nil })
		},
	},
	takesLease: {done: (*scene).leads},
	"takes the lease where there is none yet": {
		before: func(s *scene) {
			none := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: harness.LeaseName}}
			s.g.Expect(client.IgnoreNotFound(env.Admin.Delete(s.ctx, none))).To(Succeed())
		},
		done: (*scene).leads,
	},
	"tells in an event that it leads": {
		before: func(s *scene) { s.told = s.tellings() },
		done:   func(s *scene) bool { return s.tellings() > s.told },
	},
	metricsOf: {done: func(s *scene) bool {
		code, err := harness.GetStatus(s.ctx, s.manager.Metrics+"/metrics", s.token)
		return err == nil && code == http.StatusOK
	}},
}

// scene is a namespace and a baseline that no other test touches, and clients that watch them.
type scene struct {
	ctx     context.Context
	g       Gomega
	id      string
	token   string // of an account that may read the metrics
	manager *manager

	provoked int // how often
	told     int // how many events about the leader there were
}

func (s *scene) namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"scene": s.id}}}
}

// environment is another one each time that the operator is provoked.
func (s *scene) environment() string { return name("environment", s.provoked) }

func (s *scene) patch(object client.Object, merge string) {
	s.g.Expect(env.Admin.Patch(s.ctx, object, client.RawPatch(types.MergePatchType, []byte(merge)))).To(Succeed())
}

func (s *scene) policies(namespace string) []networkingv1.NetworkPolicy {
	list := &networkingv1.NetworkPolicyList{}
	s.g.Expect(env.Admin.List(s.ctx, list, client.InNamespace(namespace))).To(Succeed())
	return list.Items
}

func (s *scene) denyAll() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: s.id, Name: v1alpha1.DefaultDenyName}}
}

// open has the default deny allow everything.
func (s *scene) open() { s.patch(s.denyAll(), `{"spec":{"ingress":[{}],"egress":[{}]}}`) }

// openTimes opens it, and each time waits until it is closed again. Of the first time nothing is
// told: a manager that has only just started cannot know that it was closed before.
func (s *scene) openTimes(times int) {
	for range times {
		s.open()
		s.g.Eventually(s.closed).Should(BeTrue())
	}
}

func (s *scene) deletePolicy() {
	s.g.Expect(client.IgnoreNotFound(env.Admin.Delete(s.ctx, s.denyAll()))).To(Succeed())
}

// closed reports whether the default deny is there and allows nothing.
func (s *scene) closed() bool {
	return slices.ContainsFunc(s.policies(s.id), func(policy networkingv1.NetworkPolicy) bool {
		return policy.Name == v1alpha1.DefaultDenyName && len(policy.Spec.Ingress)+len(policy.Spec.Egress) == 0
	})
}

// baseline reads a baseline; nil if it is gone.
func (s *scene) baseline(name string) *v1alpha1.ClusterNetworkBaseline {
	baseline := &v1alpha1.ClusterNetworkBaseline{}
	err := env.Admin.Get(s.ctx, client.ObjectKey{Name: name}, baseline)
	s.g.Expect(client.IgnoreNotFound(err)).To(Succeed())
	if err != nil {
		return nil
	}
	return baseline
}

// repairs are the events about repairs.
func (s *scene) repairs() []eventsv1.Event {
	list := &eventsv1.EventList{}
	s.g.Expect(env.Admin.List(s.ctx, list, client.InNamespace(s.id))).To(Succeed())
	return slices.DeleteFunc(list.Items, func(event eventsv1.Event) bool { return event.Reason != v1alpha1.EventRepaired })
}

func (s *scene) leads() bool {
	held, err := leaseHeld(s.ctx)
	s.g.Expect(err).NotTo(HaveOccurred())
	return held
}

// tellings is how many events report a new leader.
func (s *scene) tellings() int {
	list := &corev1.EventList{}
	s.g.Expect(env.Admin.List(s.ctx, list, client.InNamespace(harness.OperatorNamespace))).To(Succeed())
	return len(slices.DeleteFunc(list.Items, func(event corev1.Event) bool {
		return event.Reason != "LeaderElection" || event.InvolvedObject.Name != harness.LeaseName
	}))
}
