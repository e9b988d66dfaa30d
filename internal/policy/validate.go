package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Validate returns the errors because of which a baseline cannot be carried out. The API server
// rejects nearly all such baselines; one that fails here was stored under another version of the
// schema, or uses a value that this version does not know.
func Validate(baseline *v1alpha1.ClusterNetworkBaseline) field.ErrorList {
	spec, path := &baseline.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if len(baseline.Name) > validation.LabelValueMaxLength {
		errs = append(errs, field.TooLong(field.NewPath("metadata", "name"), baseline.Name, validation.LabelValueMaxLength))
	}
	if spec.NamespaceSelector == nil {
		errs = append(errs, field.Required(path.Child("namespaceSelector"), "write a label selector, or {} for every namespace that is not protected"))
	} else {
		errs = append(errs, validateSelector(spec.NamespaceSelector.AsLabelSelector(), path.Child("namespaceSelector"))...)
	}
	errs = append(errs, validateExcluded(spec.ExcludedNamespaces, path.Child("excludedNamespaces"))...)
	errs = append(errs, known(path.Child("mode"), spec.Mode, v1alpha1.ModeEnforce, v1alpha1.ModeAudit)...)
	errs = append(errs, known(path.Child("deletionPolicy"), spec.DeletionPolicy, v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyRetain)...)
	errs = append(errs, validateDefaultDeny(&spec.DefaultDeny, path.Child("defaultDeny"))...)
	errs = append(errs, validateDNS(&spec.DNS, path.Child("dns"))...)
	errs = append(errs, validateIsolation(&spec.EnvironmentIsolation, path.Child("environmentIsolation"))...)
	return errs
}

// validateExcluded rejects patterns that are neither a name nor a prefix, in particular a bare *,
// which would exclude everything.
func validateExcluded(patterns []v1alpha1.NamespacePattern, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, pattern := range patterns {
		name, prefix := strings.CutSuffix(string(pattern), "*")
		if messages := apimachineryvalidation.NameIsDNSLabel(name, prefix); len(messages) > 0 {
			errs = append(errs, field.Invalid(path.Index(i), pattern, "write a namespace's name, or a prefix with one trailing *"))
		}
	}
	return errs
}

func validateDefaultDeny(deny *v1alpha1.DefaultDeny, path *field.Path) field.ErrorList {
	if len(deny.PolicyTypes) == 0 {
		return field.ErrorList{field.Required(path.Child("policyTypes"), "write Ingress, Egress or both")}
	}
	var errs field.ErrorList
	for i, direction := range deny.PolicyTypes {
		errs = append(errs, known(path.Child("policyTypes").Index(i), direction, v1alpha1.PolicyTypeIngress, v1alpha1.PolicyTypeEgress)...)
	}
	return errs
}

func validateDNS(dns *v1alpha1.DNS, path *field.Path) field.ErrorList {
	errs := known(path.Child("source"), dns.Source, v1alpha1.DNSSourceStatic, v1alpha1.DNSSourceNone)
	if dns.Source != v1alpha1.DNSSourceStatic {
		return errs
	}
	peers, ports := path.Child("static", "peers"), path.Child("static", "ports")
	if len(dns.Static.Peers) == 0 {
		errs = append(errs, field.Required(peers, "write at least one peer, or dns.source: None"))
	}
	if len(dns.Static.Ports) == 0 {
		errs = append(errs, field.Required(ports, "write at least one port"))
	}
	for i := range dns.Static.Peers {
		errs = append(errs, validateDNSPeer(&dns.Static.Peers[i], peers.Index(i))...)
	}
	for i, port := range dns.Static.Ports {
		errs = append(errs, known(ports.Index(i).Child("protocol"), port.Protocol, "UDP", "TCP")...)
		for _, message := range validation.IsValidPortNum(int(port.Port)) {
			errs = append(errs, field.Invalid(ports.Index(i).Child("port"), port.Port, message))
		}
	}
	return errs
}

func validateDNSPeer(peer *v1alpha1.DNSPeer, path *field.Path) field.ErrorList {
	if (peer.Namespace == "") == (peer.CIDR == "") {
		return field.ErrorList{field.Invalid(path, "", "write either namespace or cidr")}
	}
	if peer.CIDR != "" {
		if peer.PodSelector != nil {
			return field.ErrorList{field.Forbidden(path.Child("podSelector"), "it chooses pods of a namespace; write namespace beside it, or remove it")}
		}
		prefix, err := netip.ParsePrefix(peer.CIDR)
		if err != nil || prefix != prefix.Masked() || prefix.Addr().Is4In6() {
			return field.ErrorList{field.Invalid(path.Child("cidr"), peer.CIDR, "write the first address, an IPv4 one in IPv4 form, and the prefix length, such as 10.0.0.0/8")}
		}
		return nil
	}
	var errs field.ErrorList
	for _, message := range validation.IsDNS1123Label(peer.Namespace) {
		errs = append(errs, field.Invalid(path.Child("namespace"), peer.Namespace, message))
	}
	if peer.PodSelector != nil {
		errs = append(errs, validateSelector(peer.PodSelector.AsLabelSelector(), path.Child("podSelector"))...)
	}
	return errs
}

func validateIsolation(isolation *v1alpha1.EnvironmentIsolation, path *field.Path) field.ErrorList {
	errs := known(path.Child("scope"), isolation.Scope, v1alpha1.IsolationScopeSameEnvironment, v1alpha1.IsolationScopeNone)
	errs = append(errs, known(path.Child("unlabeled"), isolation.Unlabeled, v1alpha1.UnlabeledSameNamespace, v1alpha1.UnlabeledDeny)...)
	for _, message := range validation.IsQualifiedName(string(isolation.LabelKey)) {
		errs = append(errs, field.Invalid(path.Child("labelKey"), isolation.LabelKey, message))
	}
	return errs
}

func validateSelector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	return metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)
}

// known rejects a value that is not in an enumeration. A newer version may define more values, and
// an unknown one must never be treated as a default.
func known[T ~string](path *field.Path, value T, supported ...T) field.ErrorList {
	if slices.Contains(supported, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, value, supported)}
}

// Explain summarizes a list of errors in one sentence for a status message.
func Explain(errs field.ErrorList) string {
	if len(errs) == 0 {
		return ""
	}
	if len(errs) == 1 {
		return errs[0].Error()
	}
	return fmt.Sprintf("%s (and %d more)", errs[0].Error(), len(errs)-1)
}
