package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LabelValue is the value of a Kubernetes label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="!format.labelValue().validate(self).hasValue()",message="not a label value: write at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit, or leave it empty"
type LabelValue string

// LabelKey is the key of a Kubernetes label, with or without a prefix: team,
// example.com/team.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=317
// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",message="not a label key: write at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit, such as 'team'; a lower-case DNS name may come before it, as in 'example.com/team'"
type LabelKey string

// NamespaceSelector chooses namespaces by their labels. It is written like any
// Kubernetes label selector: all of its parts must hold, and {} chooses every
// namespace.
//
// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || self.matchLabels.all(k, !format.qualifiedName().validate(k).hasValue())",fieldPath=".matchLabels",message="a key is not a label key",messageExpression=`"'" + self.matchLabels.filter(k, format.qualifiedName().validate(k).hasValue())[0] + "' is not a label key: write at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit, such as 'team'; a lower-case DNS name may come before it, as in 'example.com/team'"`
type NamespaceSelector struct {
	// matchLabels lists labels that a namespace must carry, each with exactly
	// this value; at most 32. For a label whose value is empty write "":
	// Kubernetes drops a null, and the label with it.
	// Example: {team: payments}
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// matchExpressions lists conditions on labels that must all hold; at most 32.
	// Example: [{key: environment, operator: In, values: [production, staging]}]
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	MatchExpressions []NamespaceSelectorRequirement `json:"matchExpressions,omitempty"`
}

// NamespaceSelectorRequirement is one condition on one label.
//
// +kubebuilder:validation:XValidation:rule="self.operator in ['Exists', 'DoesNotExist'] || (has(self.values) && size(self.values) > 0)",fieldPath=".values",message="operators In and NotIn need at least one value: write values, or use Exists or DoesNotExist"
// +kubebuilder:validation:XValidation:rule="self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",fieldPath=".values",message="operators Exists and DoesNotExist take no values: remove values, or use In or NotIn"
type NamespaceSelectorRequirement struct {
	// key is the label that this condition is about.
	// Example: environment
	// +required
	Key LabelKey `json:"key,omitempty"`

	// operator says how the label is compared. In: its value is one of values.
	// NotIn: it is none of them, or the label is absent. Exists: it has any value.
	// DoesNotExist: the label is absent.
	// +required
	Operator LabelSelectorOperator `json:"operator,omitempty"`

	// values are what In and NotIn compare with, at most 32; Exists and
	// DoesNotExist take none.
	// Example: [production, staging]
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Values []LabelValue `json:"values,omitempty"`
}

// PodSelector chooses pods by their labels. It is written like any Kubernetes
// label selector: all of its parts must hold, and {} chooses every pod.
//
// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || self.matchLabels.all(k, !format.qualifiedName().validate(k).hasValue())",fieldPath=".matchLabels",message="a key is not a label key",messageExpression=`"'" + self.matchLabels.filter(k, format.qualifiedName().validate(k).hasValue())[0] + "' is not a label key: write at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit, such as 'team'; a lower-case DNS name may come before it, as in 'example.com/team'"`
type PodSelector struct {
	// matchLabels lists labels that a pod must carry, each with exactly
	// this value; at most 16. For a label whose value is empty write "":
	// Kubernetes drops a null, and the label with it.
	// Example: {k8s-app: kube-dns}
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// matchExpressions lists conditions on labels that must all hold; at most 16.
	// Example: [{key: k8s-app, operator: In, values: [kube-dns, node-local-dns]}]
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	MatchExpressions []PodSelectorRequirement `json:"matchExpressions,omitempty"`
}

// PodSelectorRequirement is one condition on one label.
//
// +kubebuilder:validation:XValidation:rule="self.operator in ['Exists', 'DoesNotExist'] || (has(self.values) && size(self.values) > 0)",fieldPath=".values",message="operators In and NotIn need at least one value: write values, or use Exists or DoesNotExist"
// +kubebuilder:validation:XValidation:rule="self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",fieldPath=".values",message="operators Exists and DoesNotExist take no values: remove values, or use In or NotIn"
type PodSelectorRequirement struct {
	// key is the label that this condition is about.
	// Example: k8s-app
	// +required
	Key LabelKey `json:"key,omitempty"`

	// operator says how the label is compared. In: its value is one of values.
	// NotIn: it is none of them, or the label is absent. Exists: it has any value.
	// DoesNotExist: the label is absent.
	// +required
	Operator LabelSelectorOperator `json:"operator,omitempty"`

	// values are what In and NotIn compare with, at most 16; Exists and
	// DoesNotExist take none.
	// Example: [kube-dns, node-local-dns]
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Values []LabelValue `json:"values,omitempty"`
}

// LabelSelectorOperator is how a label is compared.
//
// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
type LabelSelectorOperator string

// AsLabelSelector returns the selector in the form that Kubernetes' own types use.
func (s *NamespaceSelector) AsLabelSelector() *metav1.LabelSelector {
	selector := &metav1.LabelSelector{MatchLabels: plainValues(s.MatchLabels)}
	for _, r := range s.MatchExpressions {
		selector.MatchExpressions = append(selector.MatchExpressions, asRequirement(r.Key, r.Operator, r.Values))
	}
	return selector
}

// AsLabelSelector returns the selector in the form that Kubernetes' own types use.
func (s *PodSelector) AsLabelSelector() *metav1.LabelSelector {
	selector := &metav1.LabelSelector{MatchLabels: plainValues(s.MatchLabels)}
	for _, r := range s.MatchExpressions {
		selector.MatchExpressions = append(selector.MatchExpressions, asRequirement(r.Key, r.Operator, r.Values))
	}
	return selector
}

func asRequirement(key LabelKey, operator LabelSelectorOperator, values []LabelValue) metav1.LabelSelectorRequirement {
	requirement := metav1.LabelSelectorRequirement{Key: string(key), Operator: metav1.LabelSelectorOperator(operator)}
	for _, value := range values {
		requirement.Values = append(requirement.Values, string(value))
	}
	return requirement
}

func plainValues(labels map[string]LabelValue) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	plain := make(map[string]string, len(labels))
	for key, value := range labels {
		plain[key] = string(value)
	}
	return plain
}
