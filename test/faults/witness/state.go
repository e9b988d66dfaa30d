package witness

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Kind is a kind of object that the witness follows.
type Kind string

// The kinds are named as the API server's audit log names resources.
const (
	Namespaces Kind = "namespaces"
	Policies   Kind = "networkpolicies"
	Baselines  Kind = "clusternetworkbaselines"
)

// Object names one object.
type Object struct {
	Kind            Kind
	Namespace, Name string
}

// String names the object as kubectl does.
func (o Object) String() string {
	if o.Namespace == "" {
		return string(o.Kind) + "/" + o.Name
	}
	return o.Namespace + "/" + o.Name
}

// Change is one revision: the new state of an object.
type Change struct {
	Revision int64
	At       time.Time
	Object   Object
	// Exactly one of these is set, or none if the object is gone.
	Namespace *corev1.Namespace
	Policy    *networkingv1.NetworkPolicy
	Baseline  *v1alpha1.ClusterNetworkBaseline
}

// Gone means that the object does not exist any more.
func (c *Change) Gone() bool { return c.Namespace == nil && c.Policy == nil && c.Baseline == nil }

// State is the state of the cluster at one revision.
type State struct {
	Namespaces map[string]*corev1.Namespace
	Baselines  map[string]*v1alpha1.ClusterNetworkBaseline
	// Policies are by namespace and name.
	Policies map[string]map[string]*networkingv1.NetworkPolicy

	known map[string]bool // baselines that are there or once were
}

// NewState returns the state before the first revision.
func NewState() *State {
	return &State{
		Namespaces: map[string]*corev1.Namespace{},
		Baselines:  map[string]*v1alpha1.ClusterNetworkBaseline{},
		Policies:   map[string]map[string]*networkingv1.NetworkPolicy{},
		known:      map[string]bool{},
	}
}

func (s *State) exists(object Object) bool {
	switch object.Kind {
	case Namespaces:
		return s.Namespaces[object.Name] != nil
	case Baselines:
		return s.Baselines[object.Name] != nil
	case Policies:
		return s.Policies[object.Namespace][object.Name] != nil
	}
	return false
}

func (s *State) apply(change *Change) {
	namespace, name := change.Object.Namespace, change.Object.Name
	switch change.Object.Kind {
	case Namespaces:
		put(s.Namespaces, name, change.Namespace)
	case Baselines:
		s.known[name] = true
		put(s.Baselines, name, change.Baseline)
	case Policies:
		if s.Policies[namespace] == nil {
			s.Policies[namespace] = map[string]*networkingv1.NetworkPolicy{}
		}
		put(s.Policies[namespace], name, change.Policy)
	}
}

func put[T any](objects map[string]*T, name string, object *T) {
	if object == nil {
		delete(objects, name)
		return
	}
	objects[name] = object
}

// decode reads the value of a key of etcd; false for a key that is not relevant. An empty value
// means that the object is gone.
func decode(key string, value []byte) (*Change, bool, error) {
	parts := strings.Split(strings.TrimPrefix(key, registry), "/")
	change := &Change{}
	var into any
	switch {
	case len(parts) == 2 && parts[0] == string(Namespaces):
		change.Object = Object{Kind: Namespaces, Name: parts[1]}
		change.Namespace = &corev1.Namespace{}
		into = change.Namespace
	case len(parts) == 3 && parts[0] == string(Policies):
		change.Object = Object{Kind: Policies, Namespace: parts[1], Name: parts[2]}
		change.Policy = &networkingv1.NetworkPolicy{}
		into = change.Policy
	case len(parts) == 3 && parts[0] == v1alpha1.GroupVersion.Group && parts[1] == string(Baselines):
		change.Object = Object{Kind: Baselines, Name: parts[2]}
		change.Baseline = &v1alpha1.ClusterNetworkBaseline{}
		into = change.Baseline
	default:
		return nil, false, nil
	}
	if len(value) == 0 {
		return &Change{Object: change.Object}, true, nil
	}
	if err := json.Unmarshal(value, into); err != nil {
		return nil, false, fmt.Errorf("%s holds no JSON (start the API server with %v): %w", key, StorageArgs, err)
	}
	return change, true, nil
}
