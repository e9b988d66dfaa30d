package fuzz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
)

const (
	// maxRequestBody is how large a request may be:
	// https://github.com/kubernetes/apiserver/blob/v0.37.2/pkg/server/config.go#L474
	maxRequestBody = 3 << 20
	// maxStored is how large an object may be in etcd, with something left for its key:
	// https://etcd.io/docs/v3.6/dev-guide/limit/
	maxStored = 3<<19 - 1<<10
)

var errTooLarge = errors.New("request is too large")

// policyServer does with a NetworkPolicy what an API server does, all but admission plugins and the
// disk.
type policyServer struct {
	wire, storage runtime.Codec
	fields        *managedfields.FieldManager
}

// thePolicyServer is made once.
var thePolicyServer = sync.OnceValues(newPolicyServer)

func newPolicyServer() (*policyServer, error) {
	info, ok := runtime.SerializerInfoForMediaType(legacyscheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	if !ok {
		return nil, errors.New("no protobuf, which is what an API server stores")
	}
	fields, err := managedfields.NewDefaultFieldManager(applyconfigurations.NewTypeConverter(clientgoscheme.Scheme),
		legacyscheme.Scheme, legacyscheme.Scheme, legacyscheme.Scheme,
		networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"), networking.SchemeGroupVersion, "", nil)
	if err != nil {
		return nil, err
	}
	return &policyServer{
		wire:    legacyscheme.Codecs.LegacyCodec(networkingv1.SchemeGroupVersion),
		storage: legacyscheme.Codecs.CodecForVersions(info.Serializer, info.Serializer, networkingv1.SchemeGroupVersion, networking.SchemeGroupVersion),
		fields:  fields,
	}, nil
}

// answer is what the API server says to a write that it admits.
type answer struct {
	stored   *networkingv1.NetworkPolicy
	size     int
	warnings []string
}

// AddWarning collects the warnings of a request.
func (a *answer) AddWarning(_, text string) { a.warnings = append(a.warnings, text) }

// create answers to the creation of a policy.
func (s *policyServer) create(policy *networkingv1.NetworkPolicy) (*answer, error) {
	a := &answer{}
	object, err := s.receive(policy)
	if err != nil {
		return nil, err
	}
	rest.FillObjectMetaSystemFields(object)
	if err := rest.BeforeCreate(networkpolicy.Strategy, policyContext(a, "create", policy.Namespace), object); err != nil {
		return nil, err
	}
	return a, s.store(a, object)
}

// update answers to the update of a policy that is as an earlier answer says.
func (s *policyServer) update(policy, live *networkingv1.NetworkPolicy) (*answer, error) {
	a := &answer{}
	object, err := s.receive(policy)
	if err != nil {
		return nil, err
	}
	old, err := s.receive(live)
	if err != nil {
		return nil, err
	}
	if object.ResourceVersion == "" { // an update without a guard
		object.ResourceVersion = old.ResourceVersion
	}
	owned := s.fields.UpdateNoErrors(old, object, "manager").(*networking.NetworkPolicy)
	if err := s.replace(a, owned, old); !errors.Is(err, errTooLarge) {
		return a, err
	}
	owned.ManagedFields = nil // https://github.com/kubernetes/apiserver/blob/v0.37.2/pkg/endpoints/handlers/update.go
	return a, s.replace(a, owned, old)
}

func (s *policyServer) replace(a *answer, object, old *networking.NetworkPolicy) error {
	if err := rest.BeforeUpdate(networkpolicy.Strategy, policyContext(a, "update", old.Namespace), object, old); err != nil {
		return err
	}
	return s.store(a, object)
}

// receive reads a policy from the body of a request, and defaults it.
func (s *policyServer) receive(policy *networkingv1.NetworkPolicy) (*networking.NetworkPolicy, error) {
	sent := policy.DeepCopy()
	sent.SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"))
	body, err := json.Marshal(sent)
	if err != nil {
		return nil, err
	}
	if len(body) > maxRequestBody {
		return nil, errTooLarge
	}
	return decode(s.wire, body)
}

// store writes an object to the disk and reads it again.
func (s *policyServer) store(a *answer, object *networking.NetworkPolicy) error {
	raw, err := runtime.Encode(s.storage, object)
	if err != nil {
		return err
	}
	if a.size = len(raw); a.size > maxStored {
		return errTooLarge
	}
	stored, err := decode(s.storage, raw)
	if err != nil {
		return err
	}
	body, err := runtime.Encode(s.wire, stored)
	if err != nil {
		return err
	}
	a.stored = &networkingv1.NetworkPolicy{}
	return json.Unmarshal(body, a.stored)
}

func decode(codec runtime.Codec, raw []byte) (*networking.NetworkPolicy, error) {
	object, err := runtime.Decode(codec, raw)
	if err != nil {
		return nil, err
	}
	policy, ok := object.(*networking.NetworkPolicy)
	if !ok {
		return nil, fmt.Errorf("read %T", object)
	}
	return policy, nil
}

func policyContext(warnings warning.Recorder, verb, namespace string) context.Context {
	ctx := request.WithRequestInfo(request.WithNamespace(context.Background(), namespace), &request.RequestInfo{
		IsResourceRequest: true, Verb: verb, Namespace: namespace,
		APIGroup: networkingv1.GroupName, APIVersion: networkingv1.SchemeGroupVersion.Version, Resource: "networkpolicies",
	})
	return warning.WithWarningRecorder(ctx, warnings)
}
